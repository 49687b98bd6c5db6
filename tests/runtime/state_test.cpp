// SPDX-License-Identifier: Apache-2.0

// What declarations of state are refused before memory is taken for them.
#include "core/runtime/state.hpp"

#include <doctest/doctest.h>

using namespace perdure;

TEST_CASE("state that is more than this machine's memory is refused, each tensor fitting or not") {
  constexpr int64_t kColumns = 1024;
  const int64_t rows = physical_memory_bytes() / (kColumns * 4) * 6 / 10;
  const auto layout = [&](Growth growth) {
    return StateLayout({{.name = "a", .columns = kColumns, .growth = growth, .rows = rows},
                        {.name = "b", .columns = kColumns, .growth = growth, .rows = rows}},
                       1);
  };
  CHECK_THROWS_WITH_AS(layout(Growth::kFixed), doctest::Contains("for the state of a session"),
                       Error);
  CHECK_THROWS_AS(layout(Growth::kRing), Error);
  CHECK_NOTHROW(layout(Growth::kAppended));  // takes memory as the text grows
}

TEST_CASE("two states of one name, and sizes that are not positive, are refused") {
  CHECK_THROWS_AS(
      StateLayout({{.name = "a", .columns = 1, .rows = 1}, {.name = "a", .columns = 1, .rows = 1}},
                  1),
      Error);
  CHECK_THROWS_AS(StateLayout({{.name = "a", .columns = 0, .rows = 1}}, 1), Error);
  CHECK_THROWS_AS(StateLayout({{.name = "a", .columns = 1, .rows = 0}}, 1), Error);
}

TEST_CASE("state that grows cannot start with a value") {
  for (const auto initial : {StateSpec::Initial::kWeight, StateSpec::Initial::kInit})
    CHECK_THROWS_AS(StateLayout({{.name = "a",
                                  .columns = 1,
                                  .growth = Growth::kAppended,
                                  .rows = 8,
                                  .initial = initial}},
                                1),
                    Error);
}
