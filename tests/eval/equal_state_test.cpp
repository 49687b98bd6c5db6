// SPDX-License-Identifier: Apache-2.0

#include "core/eval/equal_state.hpp"

#include <doctest/doctest.h>

#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

Settings fitted(const std::string& attention, int64_t length, int64_t budget) {
  return with_state_below(golden_settings("llama.v0.bin", {"attention=" + attention}), length,
                          budget, linked_plugins());
}

int64_t bytes_of(const Settings& settings, int64_t length) {
  return Engine(settings, linked_plugins()).state_bytes(length);
}

}  // namespace

TEST_CASE("an entry gets the largest window whose state is no larger than the budget") {
  const int64_t budget =
      bytes_of(golden_settings("llama.v0.bin", {"attention={strategy: full}"}), 20);
  for (const char* attention : {"{strategy: full}", "{strategy: sliding_window, window: 100}",
                                "{strategy: sliding_window, window: 100, sinks: 4}"}) {
    CAPTURE(attention);
    const Settings settings = fitted(attention, 200, budget);
    CHECK(settings.attention.choice.strategy == "sliding_window");
    CHECK(bytes_of(settings, 200) <= budget);
    Settings larger = settings;
    std::string& window = larger.attention.choice.options.at("window").text;
    window = std::to_string(std::stoll(window) + 1);
    CHECK(bytes_of(larger, 200) > budget);
  }
}

TEST_CASE("what fits stays as it is, what cannot fit is refused") {
  CHECK(fitted("{strategy: full}", 10, 1 << 30).attention.choice.strategy == "full");
  CHECK_THROWS_WITH_AS(fitted("{strategy: full}", 100, 1),
                       "compare.equal_state: not even a window of one token fits into the "
                       "baseline's 1 bytes",
                       UsageError);
  const auto memory = [] {
    return with_state_below(
        golden_settings("memC_zero_unshared.q80.bin", {"attention={strategy: memory}"}), 100, 1,
        linked_plugins());
  };
  CHECK_THROWS_AS(memory(), UsageError);
}
