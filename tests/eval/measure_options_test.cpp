// SPDX-License-Identifier: Apache-2.0

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "core/eval/measure_options.hpp"

using namespace perdure;

namespace {

MeasureChoice choice(const std::string& name, const std::map<std::string, std::string>& options) {
  MeasureChoice result{.name = name, .place = {"c.yaml:5"}};
  for (const auto& [key, value] : options) result.options[key] = {value, {"c.yaml:6"}};
  return result;
}

MeasureSpec spec_of(const std::string& name, const std::map<std::string, std::string>& options) {
  return measure_spec(choice(name, options), {.seed = 9, .samples = 12, .longest = 1024},
                      "/folder");
}

}  // namespace

TEST_CASE("what is not written keeps the comparison's value") {
  const MeasureSpec spec = spec_of("loss", {{"tail", "64"}, {"control", "shuffled"}});
  CHECK(spec.name == "loss");
  CHECK(spec.seed == 9);
  CHECK(spec.samples == 12);
  CHECK(spec.longest == 1024);
  CHECK(spec.tail == 64);
  CHECK(spec.control == Control::kShuffled);
  CHECK(spec_of("loss", {{"samples", "3"}}).samples == 3);
}

TEST_CASE("lists, words and paths become values") {
  CHECK(spec_of("passkey", {{"depths", "0,0.5,1"}}).depths == std::vector<double>{0, 0.5, 1});
  CHECK(spec_of("recall", {{"pairs", "8"}}).pairs == std::vector<int64_t>{8});
  CHECK(spec_of("facts", {{"distances", "0,7"}}).distances == std::vector<int64_t>{0, 7});
  CHECK(spec_of("facts", {{"control", "absent"}}).control == Control::kAbsent);
  CHECK(spec_of("copy", {{"source", "text"}}).copy_text);
  CHECK(spec_of("loss", {{"control", "reset"}}).control == Control::kReset);
  CHECK(spec_of("choice", {{"tasks", "a.jsonl"}}).tasks == "/folder/a.jsonl");
  CHECK(spec_of("exact_match", {{"by", "distance"}}).by == "distance");
  CHECK(spec_of("choice", {}).tasks.empty());
}

TEST_CASE("options that cannot be are refused where they are written") {
  const auto refused = [](const std::string& name, const std::map<std::string, std::string>& o,
                          const char* message) {
    CHECK_THROWS_WITH_AS(spec_of(name, o), message, UsageError);
  };
  refused("memory", {}, "c.yaml:5: there is no measure 'memory'; did you mean 'ram'?");
  refused("lost", {}, "c.yaml:5: there is no measure 'lost'; did you mean 'loss'?");
  refused("loss", {{"tale", "1"}},
          "c.yaml:6: unknown option 'tale' of the measure 'loss'; did you mean 'tail'?");
  refused("loss", {{"tail", "0"}},
          "c.yaml:6: option 'tail' must be a whole number (between 1 and 1099511627776), but is "
          "'0'");
  refused("passkey", {{"depths", "0,x"}},
          "c.yaml:6: option 'depths' must be a list of numbers, but is '0,x'");
  refused("passkey", {{"depths", "2"}},
          "c.yaml:6: option 'depths' must be between 0 (the beginning) and 1, but is '2'");
  refused("recall", {{"pairs", "0"}}, "c.yaml:6: option 'pairs' must be 1 or more, but is '0'");
  refused("facts", {{"distances", "1,-1"}},
          "c.yaml:6: option 'distances' must be 0 or more, but is '1,-1'");
  refused("ram", {{"tail", "1"}},
          "c.yaml:6: unknown option 'tail' of the measure 'ram'; it has no options");
}

TEST_CASE("every option is some measure's, and its default is that of a spec") {
  std::set<std::string> used;
  for (const MeasureInfo& info : measures()) used.insert(info.options.begin(), info.options.end());
  CHECK(used.size() == measure_options().size());
  for (const MeasureOption& option : measure_options()) {
    CAPTURE(option.spec.name);
    CHECK(used.contains(option.spec.name));
    MeasureSpec spec{.samples = 1, .tail = 1, .shuffle_block = 1, .stride = 1, .points = 1};
    spec.depths = {};
    spec.pairs = {};
    spec.distances = {};
    spec.segment = 1;
    option.set(spec, option.spec.default_value);
    const MeasureSpec plain;
    if (option.spec.name == "samples") CHECK(spec.samples == plain.samples);
    if (option.spec.name == "tail") CHECK(spec.tail == plain.tail);
    if (option.spec.name == "stride") CHECK(spec.stride == plain.stride);
    if (option.spec.name == "points") CHECK(spec.points == plain.points);
    if (option.spec.name == "shuffle_block") CHECK(spec.shuffle_block == plain.shuffle_block);
    if (option.spec.name == "depths") CHECK(spec.depths == plain.depths);
    if (option.spec.name == "pairs") CHECK(spec.pairs == plain.pairs);
    if (option.spec.name == "distances") CHECK(spec.distances == plain.distances);
    if (option.spec.name == "segment") CHECK(spec.segment == plain.segment);
    if (option.spec.name == "digits") CHECK(spec.digits == plain.digits);
    if (option.spec.name == "repeats") CHECK(spec.repeats == plain.repeats);
    if (option.spec.name == "decode_tokens") CHECK(spec.decode_tokens == plain.decode_tokens);
  }
}
