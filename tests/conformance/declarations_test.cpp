// SPDX-License-Identifier: Apache-2.0

// What a strategy may not declare is refused, with a sentence for its author, when an engine is
// made.
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/conformance/strategy_candidates.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

struct Declarations {
  Traits traits = {};
  std::vector<StateSpec> states = {};
  std::vector<ExtraRows> extra_rows = {};
  std::vector<InputStream> input_streams = {};
  int64_t begin_rows = 0, end_rows = 0;
};

// Says what it is told to and mixes nothing.
class Declaring final : public AttentionStrategy {
 public:
  explicit Declaring(const Declarations& d) : d_(d) {}

  Traits traits() const override { return d_.traits; }
  std::vector<StateSpec> states() const override { return d_.states; }
  std::vector<ExtraRows> extra_rows() const override { return d_.extra_rows; }
  std::vector<InputStream> input_streams() const override { return d_.input_streams; }
  int64_t phase_rows(Phase phase) const override {
    if (phase == Phase::kBegin) return d_.begin_rows;
    return phase == Phase::kEnd ? d_.end_rows : 0;
  }
  Value mix(GraphBuilder&, int64_t, Value x) override { return x; }

 private:
  Declarations d_;
};

class DeclaringPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "declaring"; }
  int version() const override { return 1; }
  std::vector<OptionSpec> options() const override { return {}; }
  std::unique_ptr<AttentionStrategy> create(const ModelInfo&, const Options&,
                                            std::span<const int64_t>) const override {
    return std::make_unique<Declaring>(declarations);
  }

  Declarations declarations;  // of the next strategy
};

DeclaringPlugin& declaring() {
  static DeclaringPlugin plugin;
  return plugin;
}

const void* entry() { return static_cast<const AttentionPlugin*>(&declaring()); }

// Why an engine cannot be made; empty if it can.
std::string refusal(Declarations declarations) {
  declaring().declarations = std::move(declarations);
  std::vector<StaticPlugin> plugins(linked_plugins().begin(), linked_plugins().end());
  plugins.push_back({"attention", "declaring", entry});
  try {
    const Engine engine(golden_settings("llama.v0.bin", {"attention.strategy=declaring"}), plugins);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

bool holds(const std::string& text, const char* part) {
  CAPTURE(text);
  return text.find(part) != std::string::npos;
}

StateSpec appended(const char* stream) {
  return {.name = "seen", .columns = 4, .growth = Growth::kAppended, .rows = 9, .stream = stream};
}

}  // namespace

TEST_CASE("a strategy may declare nothing at all") { CHECK(refusal({}).empty()); }

TEST_CASE("what comes with segments is refused without them") {
  const ExtraRows rows{ExtraRows::When::kBegin, 1, 1, "token_embd.weight"};
  const char* sentence = "'declaring' declares segments of 0 tokens; with extra rows or with begin";
  CHECK(holds(refusal({.begin_rows = 2}), sentence));
  CHECK(holds(refusal({.end_rows = 2}), sentence));
  CHECK(holds(refusal({.extra_rows = {rows}}), sentence));
  CHECK(holds(refusal({.traits = {.segment_length = -1}}), "segments of -1 tokens"));
  CHECK(refusal({.traits = {.segment_length = 3}, .extra_rows = {rows}, .end_rows = 2}).empty());
}

TEST_CASE("roles of extra rows are 1 to 62") {
  const auto of_role = [](int32_t role) {
    return refusal({.traits = {.segment_length = 3},
                    .extra_rows = {{ExtraRows::When::kEnd, role, 1, "token_embd.weight"}}});
  };
  for (const int32_t role : {1, 62}) CHECK(of_role(role).empty());
  for (const int32_t role : {-1, 0, 63, 64})
    CHECK(holds(of_role(role), ("with role " + std::to_string(role) + "; ").c_str()));
}

TEST_CASE("a window is as long as a session's tokens can be kept") {
  for (const int64_t tokens : {int64_t{-1}, (int64_t{1} << 20) + 1, INT64_MAX})
    CHECK(holds(refusal({.traits = {.window_length = tokens}}),
                (" declares a window of " + std::to_string(tokens) + " tokens; ").c_str()));
}

TEST_CASE("an input stream and the state that grows with it are declared together") {
  const InputStream stream{"contexts", 10, 20};
  CHECK(refusal({.states = {appended("contexts")}, .input_streams = {stream}}).empty());
  CHECK(holds(refusal({.input_streams = {stream}}),
              "the input stream 'contexts' is declared without a state that grows with it"));
  CHECK(holds(refusal({.states = {appended("pictures")}, .input_streams = {stream}}),
              "'seen' is declared to grow with the input stream 'pictures', which no strategy"));
  CHECK(holds(refusal({.states = {{.name = "seen", .columns = 4, .rows = 9, .stream = "contexts"}},
                       .input_streams = {stream}}),
              "only appended state can"));
  CHECK(holds(refusal({.input_streams = {{"contexts", 0, 20}}}), "without a vocabulary"));
  CHECK(holds(refusal({.input_streams = {{"contexts", 10, 20, 20}}}),
              "declared with a query of 20 tokens"));
  CHECK(holds(refusal({.input_streams = {stream, {"contexts", 10, 21}}}),
              "two strategies declare the input stream 'contexts'"));
}

TEST_CASE("a number of live rows that a state cannot have ends the step, in every mode") {
  for (const char* miscount : {"-1", "7", "1000000000", "-1000000000000000"})
    for (const char* mode : {"kernels.check=false", "kernels.check=true", "threads.count=2"}) {
      CAPTURE(miscount);
      CAPTURE(mode);
      const std::string attention =
          "{strategy: counted_proof, miscount: " + std::string(miscount) + "}";
      const auto engine = make_engine({"", "llama.v0.bin", attention.c_str(), 8, true, 0},
                                      {"threads.backend=tbb", mode});
      Session session = engine->new_session();
      CHECK_THROWS_WITH_AS(
          all_logits(*engine, session, random_tokens(40, engine->spec().info.vocab_size, 3)),
          doctest::Contains("may set 0 to 6"), Error);
      CHECK_THROWS_AS(session.snapshot(), Error);
    }
}

TEST_CASE("live rows of a state that keeps no count are refused when the graph is built") {
  CHECK_THROWS_WITH_AS(
      make_engine({"", "llama.v0.bin", "{strategy: block_proof, asks_live: true}", 8, true, 0}),
      doctest::Contains("neither counted nor of an input stream"), Error);
}
