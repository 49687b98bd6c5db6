// SPDX-License-Identifier: Apache-2.0

// What declarations of state are refused before memory is taken for them.
#include "core/runtime/state.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>

#include "tests/support/sanitized.hpp"

using namespace perdure;

namespace {

int64_t mappings() {
  std::ifstream maps("/proc/self/maps");
  return std::count(std::istreambuf_iterator<char>(maps), std::istreambuf_iterator<char>(), '\n');
}

// Two tensors for each of 32 layers.
std::vector<StateSpec> of_32_layers(const StateSpec& like) {
  std::vector<StateSpec> specs(64, like);
  for (size_t i = 0; i < specs.size(); ++i) specs[i].name = std::to_string(i);
  return specs;
}

}  // namespace

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

TEST_CASE("4,096 sessions of 32 layers fit, constant or growing, with a mapping each at most") {
  const StateSpec candidates[] = {
      {.name = {}, .columns = 8, .rows = 2},
      {.name = {}, .columns = 8, .growth = Growth::kRing, .rows = 2},
      {.name = {}, .columns = 8, .growth = Growth::kAppended, .rows = 1 << 20}};
  for (const StateSpec& like : candidates) {
    const StateLayout layout(of_32_layers(like), 4, int64_t{1} << 50);
    const int64_t before = mappings();
    std::vector<StateSet> sessions;
    for (int i = 0; i < 4096; ++i) {
      sessions.emplace_back(layout);
      sessions.back().reserve(1);
      sessions.back().row(63, 0)[0] = static_cast<float>(i);
    }
    // The thread sanitizer has mappings of its own for each.
    CHECK(mappings() - before < (testing::kThreadSanitized ? 3 : 1) * 4200);
    CHECK(sessions[4095].row(63, 0)[0] == 4095.0f);
    CHECK(sessions[0].row(63, 0)[0] == 0.0f);
  }
}

TEST_CASE("tensors of a session begin 64-byte aligned and do not overlap") {
  StateLayout layout({{.name = "a", .columns = 3, .rows = 1},
                      {.name = "b", .columns = 5, .growth = Growth::kRing, .rows = 3},
                      {.name = "c", .columns = 7, .growth = Growth::kAppended, .rows = 1000},
                      {.name = "d", .columns = 7, .growth = Growth::kAppended, .rows = 1000},
                      {.name = "e", .columns = 1, .growth = Growth::kCounted, .rows = 3}},
                     2);
  StateSet state(layout);
  state.reserve(1000);
  for (size_t i = 0; i < 5; ++i) {
    const perdure_state_view& view = state.views()[i];
    CHECK(reinterpret_cast<uintptr_t>(view.data) % 64 == 0);
    std::fill_n(view.data, view.n_rows * view.row_bytes, static_cast<char>(i + 1));
  }
  for (size_t i = 0; i < 5; ++i) {
    const perdure_state_view& view = state.views()[i];
    CHECK(std::all_of(view.data, view.data + view.n_rows * view.row_bytes,
                      [&](char byte) { return byte == static_cast<char>(i + 1); }));
  }
}

TEST_CASE("what all sessions take is counted, refused beyond the budget, and given back") {
  const StateLayout layout(
      {{.name = "a", .columns = 1024, .growth = Growth::kAppended, .rows = 4096}}, 1,
      int64_t{10} << 20);
  StateSet one(layout), two(layout);
  one.reserve(1536);  // 6 MiB
  CHECK(layout.budget()->used() == int64_t{6} << 20);
  CHECK_THROWS_WITH_AS(two.reserve(1537), doctest::Contains("state.max_bytes"), Error);
  CHECK(two.views()[0].n_rows == 0);
  CHECK(layout.budget()->used() == int64_t{6} << 20);
  CHECK_THROWS_AS(static_cast<void>(StateSet(one)), Error);
  CHECK(layout.budget()->used() == int64_t{6} << 20);
  one = StateSet(layout);
  CHECK(layout.budget()->used() == 0);
  CHECK_NOTHROW(two.reserve(1537));
}

TEST_CASE("a state of another type than F32 is refused until kernels compute with it") {
  for (const uint32_t type : {PERDURE_F16, PERDURE_BF16, PERDURE_Q80})
    CHECK_THROWS_WITH_AS(StateLayout({{.name = "a", .columns = 1, .rows = 1, .type = type}}, 1),
                         doctest::Contains("element type"), Error);
}

TEST_CASE("rows that several tokens share are live from the first of them on") {
  const StateLayout layout({{.name = "a",
                             .columns = 1,
                             .growth = Growth::kRing,
                             .rows = 3,
                             .sinks = 1,
                             .tokens_per_row = 8}},
                           4);
  StateSet state(layout);
  for (int64_t position = 0; position < 200; ++position) {
    state.row(0, position / 8)[0] = static_cast<float>(position / 8);
    const int64_t begun = position / 8 + 1;
    std::vector<float> expected{0.0f};
    for (int64_t i = std::max<int64_t>(1, begun - 3); i < begun; ++i)
      expected.push_back(static_cast<float>(i));
    std::vector<float> live;
    for (const auto run : state.live_runs(0, position + 1))
      live.insert(live.end(), run.begin(), run.end());
    CHECK(live == expected);
  }
  CHECK_THROWS_AS(StateLayout({{.name = "a", .columns = 1, .rows = 1, .tokens_per_row = 2}}, 1),
                  Error);
}
