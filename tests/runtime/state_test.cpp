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

TEST_CASE("thousands of sessions with a huge longest length need little address space") {
  // 256 GiB each, if all of it were reserved.
  const StateLayout layout(
      of_32_layers(
          {.name = {}, .columns = 16, .growth = Growth::kAppended, .rows = int64_t{1} << 26}),
      4, int64_t{1} << 50);
  std::vector<StateSet> sessions;
  for (int i = 0; i < 3000; ++i) {
    sessions.emplace_back(layout);
    REQUIRE_NOTHROW(sessions.back().reserve(1));
    sessions.back().row(63, 0)[0] = static_cast<float>(i);
  }
  CHECK(sessions[2999].row(63, 0)[0] == 2999.0f);
  CHECK(layout.max_length() == int64_t{1} << 26);
}

TEST_CASE("rows stay what they are while tensors and copies outgrow their place, again and again") {
  const StateLayout layout(
      {{.name = "a", .columns = 3, .growth = Growth::kAppended, .rows = 50'000},
       {.name = "b",
        .columns = 5,
        .growth = Growth::kAppended,
        .rows = 25'000,
        .tokens_per_row = 2},
       {.name = "c", .columns = 7, .growth = Growth::kAppended, .rows = 100, .stream = "notes"},
       {.name = "d", .columns = 2, .rows = 4}},
      1);
  StateSet state(layout);
  state.reserve(3, "notes");
  state.row(2, 2)[6] = 5.0f;
  state.row(3, 3)[1] = 6.0f;
  const auto value = [](size_t tensor, int64_t row) {
    return static_cast<float>(row) + static_cast<float>(tensor) / 4.0f;
  };
  const auto all_there = [&](const StateSet& s, int64_t end) {
    bool all = s.row(2, 2)[6] == 5.0f && s.row(3, 3)[1] == 6.0f;
    for (int64_t i = 0; i < end; ++i)
      all = all && s.row(0, i)[2] == value(0, i) && s.row(1, i / 2)[4] == value(1, i / 2);
    return all;
  };
  int64_t filled = 0;
  for (const int64_t end : {1, 1000, 1024, 1025, 2049, 4097, 9000, 50'000}) {
    state.reserve(end);
    for (; filled < end; ++filled) {
      CHECK(state.row(0, filled)[2] == 0.0f);  // fresh
      state.row(0, filled)[2] = value(0, filled);
      state.row(1, filled / 2)[4] = value(1, filled / 2);
    }
    CHECK(all_there(state, end));
    CHECK(all_there(StateSet(state), end));
  }
  CHECK_THROWS_AS(state.reserve(50'001), Error);
  CHECK(all_there(state, 50'000));
}

TEST_CASE("a state that replaces another needs budget only for what it takes beyond") {
  const StateLayout layout(
      {{.name = "a", .columns = 1024, .growth = Growth::kAppended, .rows = 4096},
       {.name = "b", .columns = 256, .rows = 1024}},
      1, int64_t{10} << 20);
  StateSet state(layout);
  state.reserve(1792);  // 1 + 7 MiB
  CHECK(layout.budget()->used() == int64_t{8} << 20);
  {
    StateSet larger = state.successor();
    larger.reserve(2304);  // 9
    CHECK(layout.budget()->used() == int64_t{10} << 20);
    CHECK_THROWS_WITH_AS(larger.reserve(2305), doctest::Contains("state.max_bytes"), Error);
  }  // given up
  CHECK(layout.budget()->used() == int64_t{8} << 20);
  StateSet smaller = state.successor();
  smaller.reserve(256);
  smaller.row(0, 255)[0] = 3.0f;
  state.become(std::move(smaller));
  CHECK(layout.budget()->used() == int64_t{2} << 20);
  CHECK(state.row(0, 255)[0] == 3.0f);
  state = StateSet(layout);
  CHECK(layout.budget()->used() == int64_t{1} << 20);
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
