// SPDX-License-Identifier: Apache-2.0

// Times and bytes: their form, not their size, except for what must not grow.
#include <doctest/doctest.h>

#include <fstream>

#include "core/eval/engines.hpp"
#include "core/eval/measure.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/sanitized.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

const std::vector<MeasurePoint>& points(const std::optional<MeasureResult>& result,
                                        size_t figure = 0) {
  REQUIRE(result);
  return result->figures[figure].points;
}

// A field of this process's status, in bytes.
int64_t status_bytes(const std::string& field) {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;)
    if (int64_t kibibytes = 0; word == field && file >> kibibytes) return kibibytes * 1024;
  return 0;
}

}  // namespace

TEST_CASE("speed gives a sample per repetition and stops when asked") {
  Engine engine(golden_settings("llama.v0.bin"), linked_plugins());
  const MeasureSpec spec{.name = "speed", .decode_tokens = 4, .repeats = 2};
  const auto result = run_measure(engine, spec, 50, {});
  for (size_t figure = 0; figure < 2; ++figure) {
    REQUIRE(points(result, figure)[0].samples.size() == 2);
    for (const double sample : points(result, figure)[0].samples) CHECK(sample > 0);
  }
  CHECK_FALSE(run_measure(engine, spec, 50, {}, [](int64_t) { return false; }));
  CHECK(run_measure(engine, spec, 2, {}));
  CHECK_THROWS_AS(run_measure(engine, spec, 1, {}), UsageError);
}

TEST_CASE("time by position reaches the length at equal distances") {
  Engine engine(golden_settings("memA.q80.bin"), linked_plugins());
  const MeasureSpec spec{.name = "time_by_position", .points = 4, .decode_tokens = 3};
  const auto result = run_measure(engine, spec, 100, {});
  REQUIRE(points(result).size() == 4);
  for (size_t p = 0; p < 4; ++p) {
    CHECK(points(result)[p].axis == 25.0 * static_cast<double>(p + 1));
    CHECK(points(result)[p].samples.size() == 3);
  }
  const auto one = run_measure(engine, spec, 2, {});
  REQUIRE(points(one).size() == 1);
  CHECK(points(one)[0].samples.size() == 2);
  CHECK_FALSE(run_measure(engine, spec, 100, {}, [](int64_t) { return false; }));
}

TEST_CASE("state bytes are those of a session that has read the length") {
  for (const std::string strategy : {"{strategy: full}", "{strategy: sliding_window, window: 8}"}) {
    Engine engine(golden_settings("llama.v0.bin", {"attention=" + strategy}), linked_plugins());
    Session session = engine.new_session();
    all_logits(engine, session, random_tokens(50, 320, 1));
    const auto result = run_measure(engine, {.name = "ram"}, 50, {});
    CHECK(points(result)[0].samples[0] == static_cast<double>(session.state_bytes()));
    CHECK(points(result, 1)[0].samples[0] > points(result)[0].samples[0]);
  }
}

TEST_CASE("memory does not grow with rows that ask for logits") {
  if (kSanitized) return;  // keeps freed memory
  Engine engine(golden_settings("llama.v0.bin", {"attention={strategy: sliding_window, window: 8}",
                                                 "kernels.prefer=[simd]"}),
                linked_plugins());
  constexpr int64_t kLength = 32768;
  const EvalText text = make_eval_text("random", random_tokens(kLength + 1, 320, 1));
  const MeasureSpec spec{.name = "loss_by_position", .samples = 1};
  REQUIRE(run_measure(engine, spec, 256, text));  // whatever is taken once
  std::ofstream("/proc/self/clear_refs") << "5" << std::flush;
  const int64_t before = status_bytes("VmHWM:");
  REQUIRE(run_measure(engine, spec, kLength, text));
  const int64_t logits_bytes = kLength * 320 * static_cast<int64_t>(sizeof(float));  // 40 MiB
  CHECK(status_bytes("VmHWM:") - before < logits_bytes / 10);
}

TEST_CASE("a text of 200,000 tokens is sampled and read whole") {
  Engine engine(golden_settings("llama.v0.bin", {"attention={strategy: sliding_window, window: 8}",
                                                 "kernels.prefer=[simd]"}),
                linked_plugins());
  const EvalText text = make_eval_text("long", random_tokens(200000, 320, 1));
  CHECK(points(run_measure(engine, {.samples = 2, .tail = 8}, 32, text))[0].samples.size() == 2);
  if (kSanitized) return;
  CHECK(points(run_measure(engine, {.samples = 64}, 199999, text))[0].samples.size() == 1);
}

TEST_CASE("an entry has the engine of the length that is evaluated") {
  EntryEngines engines(golden_settings("big.safetensors", {"attention.rope_scaling=linear",
                                                           "attention.train_length=32"}),
                       linked_plugins());
  Engine* first = &engines.at(64);
  CHECK(&engines.at(64) == first);
  CHECK(first->settings().attention.eval_length == 64);
  const EvalText text = make_eval_text("random", random_tokens(500, 16, 1));
  const MeasureSpec spec{.samples = 2, .longest = 128, .tail = 8};
  const auto scaled = run_measure(engines.at(128), spec, 128, text);
  Engine by_factor(
      golden_settings("big.safetensors", {"attention.rope_scaling=linear", "attention.factor=4"}),
      linked_plugins());
  CHECK(points(scaled)[0].samples == points(run_measure(by_factor, spec, 128, text))[0].samples);
}
