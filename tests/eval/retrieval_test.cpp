// SPDX-License-Identifier: Apache-2.0

// What passkey, recall and copy let a model read, and what they make of its answers.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/eval/measure.hpp"
#include "core/eval/retrieval.hpp"
#include "core/model/tokenizers/llama2c_tokenizer.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

constexpr int64_t kVocab = 320;
constexpr UsedIds kIds{.begin = 1, .first = 3, .end = kVocab};

// A vocabulary of which only the special ids matter.
class OtherTokenizer final : public Tokenizer {
 public:
  OtherTokenizer(int32_t bos, std::vector<int32_t> eos) : bos_(bos), eos_(std::move(eos)) {}
  std::vector<int32_t> encode_text(std::string_view text, bool) const override {
    return {text.begin(), text.end()};
  }
  std::string_view decode(int32_t, int32_t) const override { return "x"; }
  int64_t vocab_size() const override { return kVocab; }
  int32_t bos_id() const override { return bos_; }
  std::span<const int32_t> eos_ids() const override { return eos_; }
  const std::string& hash() const override { return hash_; }

 private:
  int32_t bos_;
  std::vector<int32_t> eos_;
  std::string hash_;
};

Llama2cTokenizer tokenizer() { return Llama2cTokenizer::open(golden_model("tok_320.bin"), kVocab); }

EvalText some_text(size_t n_tokens = 3000) {
  return make_eval_text("random", random_tokens(n_tokens, kVocab, 5));
}

std::string decoded(const Tokenizer& t, std::span<const int32_t> tokens) {
  std::string text;
  int32_t previous = Llama2cTokenizer::kBos;
  for (const int32_t token : tokens) {
    text += t.decode(previous, token);
    previous = token;
  }
  return text;
}

Engine with_tokenizer() {
  return Engine(golden_settings("llama.v0.bin", {"model.tokenizer=" + golden_model("tok_320.bin")}),
                linked_plugins());
}

}  // namespace

TEST_CASE("a pass key stands at its depth, is asked for at the end, and its digits are scored") {
  const Llama2cTokenizer t = tokenizer();
  const EvalText text = some_text();
  const Passkey key = make_passkey(t, 5, 1, 0);
  const std::string digits = decoded(t, key.answer);
  CHECK(digits.find_first_not_of(" 0123456789") == std::string::npos);
  CHECK(decoded(t, key.needle).find("key is " + digits.substr(digits.size() - 5)) !=
        std::string::npos);
  for (const double depth : {0.0, 0.25, 1.0}) {
    const Window window = passkey_window(kIds, key, text, 2000, 600, depth);
    CHECK(window.tokens.size() == 600);
    CHECK(window.targets == key.answer);
    CHECK(window.tokens[0] == Llama2cTokenizer::kBos);
    const auto needle = std::search(window.tokens.begin(), window.tokens.end(), key.needle.begin(),
                                    key.needle.end());
    REQUIRE(needle != window.tokens.end());
    CHECK(needle - window.tokens.begin() ==
          1 + static_cast<std::ptrdiff_t>(depth * static_cast<double>(600 - key.size())));
    const size_t n_end = key.question.size() + key.answer.size() - 1;
    const auto question = window.tokens.end() - static_cast<std::ptrdiff_t>(n_end);
    CHECK(std::equal(key.question.begin(), key.question.end(), question));
  }
}

TEST_CASE(
    "what is read begins with the tokenizer's own BOS, and random ids are none of its special") {
  ModelInfo model;
  model.vocab_size = kVocab;
  CHECK(used_ids(model, nullptr) == kIds);
  const Llama2cTokenizer llama = tokenizer();
  CHECK(used_ids(model, &llama) == kIds);
  // As Llama 3's, at the end; as RWKV's, one that ends a text and none that begins it.
  const OtherTokenizer high(300, {301, 309}), ending(-1, {0}), none(-1, {});
  CHECK(used_ids(model, &high) == UsedIds{.begin = 300, .first = 0, .end = 300});
  CHECK(used_ids(model, &ending) == UsedIds{.begin = 0, .first = 1, .end = kVocab});
  CHECK_THROWS_AS(used_ids(model, &none), UsageError);
  model.bos_id = 7;
  CHECK(used_ids(model, nullptr).begin == 7);
  model.vocab_size = 1;
  CHECK_THROWS_WITH_AS(used_ids(model, &llama), doctest::Contains("nothing but special"),
                       UsageError);
  for (const OtherTokenizer* t : {&high, &ending}) {
    model.vocab_size = kVocab;
    const UsedIds ids = used_ids(model, t);
    CHECK(copy_window(ids, {7, 8}, 2).tokens ==
          std::vector<int32_t>{ids.begin, 7, 8, ids.begin, 7});
    const auto passage = random_passage(ids, 2000, 1, 0);
    CHECK(*std::ranges::max_element(passage) == ids.end - 1);
    CHECK(*std::ranges::min_element(passage) == ids.first);
    const Window pairs = recall_window(ids, 20, 200, 1, 0);
    CHECK(std::ranges::all_of(pairs.tokens,
                              [&](int32_t id) { return id >= ids.first && id < ids.end; }));
  }
}

TEST_CASE("samples have keys of their own, whatever the length") {
  const Llama2cTokenizer t = tokenizer();
  std::set<std::vector<int32_t>> answers;
  for (int64_t sample = 0; sample < 20; ++sample)
    answers.insert(make_passkey(t, 5, 1, sample).answer);
  CHECK(answers.size() == 20);
  CHECK(make_passkey(t, 5, 1, 3).answer == make_passkey(t, 5, 1, 3).answer);
}

TEST_CASE("passkey has a point per depth and needs a tokenizer and room") {
  Engine engine = with_tokenizer();
  const MeasureSpec spec{.name = "passkey", .samples = 4, .depths = {0, 1}};
  const auto result = run_measure(engine, spec, 400, some_text());
  REQUIRE(result);
  REQUIRE(result->figures[0].points.size() == 2);
  for (const MeasurePoint& point : result->figures[0].points) {
    CHECK(point.samples.size() == 4);
    for (const double sample : point.samples) CHECK((sample == 0 || sample == 1));
  }
  const int64_t needed = make_passkey(engine.tokenizer(), 5, 1, 0).size();
  CHECK(run_measure(engine, {.name = "passkey", .samples = 1}, needed + 2, some_text()));
  CHECK_THROWS_AS(run_measure(engine, spec, 40, some_text()), UsageError);
  Engine without(golden_settings("llama.v0.bin"), linked_plugins());
  CHECK_THROWS_AS(run_measure(without, spec, 400, some_text()), UsageError);
}

TEST_CASE("recall asks for values of keys that occur once before") {
  const Window window = recall_window(kIds, 20, 200, 1, 0);
  CHECK(window.tokens.size() == 200);
  REQUIRE(window.targets.size() == 15);
  std::map<int32_t, int32_t> value_of;
  for (size_t i = 0; i < 40; i += 2) value_of[window.tokens[i]] = window.tokens[i + 1];
  REQUIRE(value_of.size() == 20);
  std::set<int32_t> asked;
  for (size_t row = 0; row < 15; row += 2) {
    const int32_t key = window.tokens[200 - 15 + row];
    CHECK(asked.insert(key).second);
    CHECK(window.targets[row] == value_of.at(key));
    CHECK(std::count(window.tokens.begin(), window.tokens.end(), key) == 2);
  }
  CHECK(recall_window(kIds, 20, 200, 1, 1).tokens != window.tokens);
}

TEST_CASE("recall leaves out what does not fit, and is refused if nothing does") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const auto result =
      run_measure(engine, {.name = "recall", .samples = 3, .pairs = {2, 16, 500}}, 64, {});
  REQUIRE(result);
  REQUIRE(result->figures[0].points.size() == 2);
  CHECK(result->figures[0].points[1].axis == 16);
  CHECK(result->figures[0].points[1].samples.size() == 3);
  CHECK_FALSE(recall_fits(kIds, 16, 46));
  CHECK(recall_fits(kIds, 16, 47));
  CHECK_FALSE(recall_fits(kIds, 317, 4096));
  CHECK_THROWS_WITH_AS(
      run_measure(engine, {.name = "recall", .pairs = {500}}, 64, {}),
      "no number of pairs fits a length of 64 and a vocabulary of 320; ask for fewer pairs",
      UsageError);
}

TEST_CASE("copy scores the end of the second passage, the same targets at every length") {
  const std::vector<int32_t> passage = random_passage(kIds, 50, 1, 0);
  const std::vector<int32_t> shorter = random_passage(kIds, 20, 1, 0);
  CHECK(std::equal(shorter.rbegin(), shorter.rend(), passage.rbegin()));
  CHECK(*std::min_element(passage.begin(), passage.end()) > Llama2cTokenizer::kEos);
  const Window window = copy_window(kIds, {7, 8, 9}, 2);
  CHECK(window.tokens == std::vector<int32_t>{1, 7, 8, 9, 1, 7, 8});
  CHECK(window.targets == std::vector<int32_t>{8, 9});
  CHECK(copy_window(kIds, {7, 8, 9}, 100).targets == std::vector<int32_t>{7, 8, 9});
}

TEST_CASE("copy takes random tokens or text, and needs room for one token") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  MeasureSpec spec{.name = "copy", .samples = 3, .tail = 8};
  const auto random = run_measure(engine, spec, 41, {});
  REQUIRE(random);
  CHECK(random->figures[0].points[0].samples.size() == 3);
  CHECK(random->figures[1].name == "copy_accuracy");
  CHECK_THROWS_AS(run_measure(engine, spec, 2, {}), UsageError);
  spec.copy_text = true;
  const auto text = run_measure(engine, spec, 41, some_text());
  REQUIRE(text);
  CHECK(text->figures[0].points[0].samples != random->figures[0].points[0].samples);
  CHECK_THROWS_AS(run_measure(engine, spec, 41, {}), UsageError);
}
