// SPDX-License-Identifier: Apache-2.0

// Nodes for `attend`: several ranges and queries, rotation on reading, rings, empty ranges, keys of
// several blocks.
#pragma once

#include "tests/support/kernel_cases.hpp"

namespace perdure::test {

struct AttendShape {
  int64_t head_size, value_size, heads_per_kv, n_kv_heads, n_queries, n_ranges, ring_rows, last_key;
  int64_t rotary = 0;  // 0: keys do not rotate
  bool halves = false, sloped = false;
  int64_t listed = 0;          // keys in the lists of the first range; 0 = none
  int64_t weight_columns = 0;  // 0: weights are not added up

  int64_t n_heads() const { return heads_per_kv * n_kv_heads; }
};

inline AttendShape random_attend_shape(Numbers& numbers) {
  AttendShape s{};
  s.head_size = s.value_size = numbers.pick({2, 8, 20, 48, 64, 80, 128});
  s.heads_per_kv = numbers.pick({1, 1, 2, 3});
  s.n_kv_heads = numbers.pick({1, 2, 3});
  s.n_queries = numbers.pick({1, 2});
  s.n_ranges = numbers.pick({1, 2, 3});
  s.ring_rows = numbers.pick({0, 0, 40, 150});
  s.last_key = numbers.pick({3, 63, 64, 70, 200, 300});
  if (numbers.between(0, 1) != 0) s.rotary = s.head_size;
  return s;
}

// A range of keys that the state holds: with a ring of R rows behind two fixed ones, at most the
// last R.
inline void add_range(std::vector<int64_t>& ranges, const AttendShape& s, Numbers& numbers) {
  const int64_t end = numbers.between(0, s.last_key + 1);
  const int64_t held = s.ring_rows == 0 ? end : std::min(end, s.ring_rows);
  const int64_t first = numbers.between(0, 5) == 0 ? end : end - numbers.between(0, held);
  ranges.insert(ranges.end(), {first, end, numbers.pick({0, 0, 3})});
}

// A range of places in a list of keys.
inline void add_list_range(std::vector<int64_t>& ranges, const AttendShape& s, Numbers& numbers) {
  const int64_t end = numbers.between(0, s.listed);
  ranges.insert(ranges.end(), {numbers.between(0, end), end, numbers.pick({0, 3})});
}

inline void add_attend_state(KernelCase& test, const AttendShape& s, int64_t columns,
                             Numbers& numbers) {
  const int64_t physical = s.ring_rows == 0 ? s.last_key + 1 : 2 + s.ring_rows;
  test.states.push_back({.columns = columns, .ring_first = 2, .ring_rows = s.ring_rows});
  for (int32_t i = 0; i <= test.rows.back().session; ++i)
    test.states.back().sessions.push_back(numbers.normals(physical * columns));
  test.add_state(static_cast<uint32_t>(test.states.size() - 1));
}

inline void add_attend_range(KernelCase& test, const AttendShape& s, int64_t r, Numbers& numbers) {
  add_attend_state(test, s, s.n_kv_heads * s.head_size, numbers);
  add_attend_state(test, s, s.n_kv_heads * s.value_size, numbers);
  const bool listed = s.listed > 0 && r == 0;
  std::vector<int64_t> ranges;
  for (int64_t row = 0; row < n_rows(test); ++row)
    listed ? add_list_range(ranges, s, numbers) : add_range(ranges, s, numbers);
  test.add_integers(3, ranges);
  const auto add_to = [&](const char* list, int64_t value) {
    for (auto& [name, values] : test.lists)
      if (name == list) values.push_back(value);
  };
  add_to("query", numbers.between(0, s.n_queries - 1));
  add_to("rotate", s.rotary > 0 && r != 1);
  add_to("group", numbers.pick({1, 1, 3}));
  add_to("angle_block", numbers.pick({0, 0, 64}));
  add_to("listed", listed);
  add_to("weigh", r != 1);
}

// What stands behind the ranges: angles, a list of keys, slopes and places.
inline void add_attend_rest(KernelCase& test, const AttendShape& s, Numbers& numbers) {
  if (s.rotary > 0) {
    HarnessValue angles{.kind = PERDURE_VALUE_CONSTANT, .rows = 310, .columns = s.rotary};
    angles.data = bytes_of(numbers.normals(310 * s.rotary, 0.7f));
    test.inputs.push_back(angles);
  }
  if (s.listed > 0) {
    std::vector<int64_t> keys;
    for (int64_t i = 0; i < n_rows(test) * s.listed; ++i)
      keys.push_back(numbers.between(0, s.last_key));
    test.add_integers(s.listed, keys);
  }
  if (!s.sloped) return;
  HarnessValue slopes{.kind = PERDURE_VALUE_CONSTANT, .rows = 1, .columns = s.n_heads()};
  slopes.data = bytes_of(numbers.normals(s.n_heads(), 0.05f));
  test.inputs.push_back(slopes);
  std::vector<int64_t> places;
  for (int64_t row = 0; row < n_rows(test); ++row) places.push_back(numbers.between(0, s.last_key));
  test.add_integers(1, places);
  test.attributes.emplace_back("slopes", 1);
}

inline KernelCase attend_case_of(const AttendShape& s, Numbers& numbers) {
  KernelCase test{.op = s.weight_columns > 0 ? "attend_weighing" : "attend"};
  add_some_rows(test, numbers);
  if (s.weight_columns > 0) add_attend_state(test, s, s.weight_columns, numbers);
  for (int64_t q = 0; q < s.n_queries; ++q)
    test.add_rows(s.n_heads() * s.head_size,
                  numbers.normals(n_rows(test) * s.n_heads() * s.head_size));
  test.attributes = {{"n_heads", static_cast<double>(s.n_heads())},
                     {"n_kv_heads", static_cast<double>(s.n_kv_heads)},
                     {"n_queries", static_cast<double>(s.n_queries)},
                     {"n_ranges", static_cast<double>(s.n_ranges)}};
  test.lists = {{"query", {}}, {"rotate", {}}, {"group", {}}, {"angle_block", {}}};
  if (s.listed > 0) test.lists.push_back({"listed", {}});
  if (s.weight_columns > 0) test.lists.push_back({"weigh", {}});
  for (int64_t r = 0; r < s.n_ranges; ++r) add_attend_range(test, s, r, numbers);
  add_attend_rest(test, s, numbers);
  if (s.value_size != s.head_size)
    test.attributes.emplace_back("value_size", static_cast<double>(s.value_size));
  if (s.halves) test.attributes.emplace_back("halves", 1);
  test.set_output(s.n_heads() * s.value_size);
  return test;
}

inline KernelCase attend_case(uint64_t seed) {
  Numbers numbers(seed);
  return attend_case_of(random_attend_shape(numbers), numbers);
}

// Scale, cap, slopes, other heads of values, keys that rotate by halves or in part; now and then
// lists of keys.
inline KernelCase rich_attend_case(uint64_t seed) {
  Numbers numbers(seed);
  AttendShape s = random_attend_shape(numbers);
  s.value_size = numbers.pick({s.head_size, 1, 16, 33, 64, 100});
  s.sloped = numbers.between(0, 1) != 0;
  s.halves = s.rotary > 0 && numbers.between(0, 1) != 0;
  if (s.rotary > 2 && numbers.between(0, 1) != 0) s.rotary = numbers.between(1, s.rotary / 2) * 2;
  if (numbers.between(0, 4) == 0) s.listed = numbers.pick({1, 7, 90});
  KernelCase test = attend_case_of(s, numbers);
  if (numbers.between(0, 1)) test.attributes.emplace_back("scale", 0.2);
  if (numbers.between(0, 1)) test.attributes.emplace_back("cap", 2.5);
  return test;
}

inline KernelCase weighing_case(uint64_t seed) {
  Numbers numbers(seed);
  AttendShape s = random_attend_shape(numbers);
  s.weight_columns = numbers.pick({1, s.n_kv_heads, s.n_heads()});
  if (numbers.between(0, 3) == 0) s.listed = numbers.pick({1, 7, 90});
  return attend_case_of(s, numbers);
}

// Causal attention of a prompt over one state: rows share keys, block after block.
inline KernelCase causal_attend_case(int64_t n_rows_of_step, int64_t first_position,
                                     uint64_t seed) {
  Numbers numbers(seed);
  const int64_t head_size = 48, n_heads = 2;
  KernelCase test{.op = "attend"};
  test.add_session(first_position, n_rows_of_step);
  test.add_rows(n_heads * head_size, numbers.normals(n_rows_of_step * n_heads * head_size));
  for (int part = 0; part < 2; ++part) {
    test.states.push_back({.columns = n_heads * head_size});
    test.states.back().sessions.push_back(
        numbers.normals((first_position + n_rows_of_step) * n_heads * head_size));
    test.add_state(static_cast<uint32_t>(part));
  }
  std::vector<int64_t> ranges;
  for (const perdure_row& row : test.rows) ranges.insert(ranges.end(), {0, row.position + 1, 0});
  test.add_integers(3, ranges);
  test.attributes = {
      {"n_heads", n_heads}, {"n_kv_heads", n_heads}, {"n_queries", 1}, {"n_ranges", 1}};
  test.set_output(n_heads * head_size);
  return test;
}

// Rows of a step that attend to each other, each to a stretch of its session's rows. The same keys
// and values once as rows, once as states.
struct StepAttendCases {
  KernelCase of_rows, of_states;
};

inline StepAttendCases step_attend_cases(uint64_t seed) {
  Numbers numbers(seed);
  const int64_t head_size = 20, n_heads = 4, n_kv_heads = 2;
  const int64_t kv_columns = n_kv_heads * head_size;
  KernelCase test{.op = "attend"};
  const std::vector<int64_t> session_rows{1, numbers.between(2, 9), numbers.between(60, 140)};
  std::vector<int64_t> ranges;
  for (const int64_t n : session_rows) {
    test.add_session(numbers.between(0, 50), n);
    for (int64_t r = 0; r < n; ++r) {
      const int64_t end = numbers.pick({n, n, numbers.between(0, n)});
      ranges.insert(ranges.end(), {numbers.pick({0, end / 2}), end, 0});
    }
  }
  const int64_t n_rows_of_step = n_rows(test);
  test.add_rows(n_heads * head_size, numbers.normals(n_rows_of_step * n_heads * head_size));
  test.attributes = {
      {"n_heads", n_heads}, {"n_kv_heads", n_kv_heads}, {"n_queries", 1}, {"n_ranges", 1}};
  StepAttendCases cases{test, test};
  for (uint32_t part = 0; part < 2; ++part) {
    const Floats all = numbers.normals(n_rows_of_step * kv_columns);
    cases.of_rows.add_rows(kv_columns, all);
    cases.of_states.states.push_back({.columns = kv_columns});
    auto from = all.begin();
    for (const int64_t n : session_rows) {
      cases.of_states.states.back().sessions.emplace_back(from, from + n * kv_columns);
      from += n * kv_columns;
    }
    cases.of_states.add_state(part);
  }
  for (KernelCase* c : {&cases.of_rows, &cases.of_states}) {
    c->add_integers(3, ranges);
    c->set_output(n_heads * head_size);
  }
  return cases;
}

}  // namespace perdure::test
