// SPDX-License-Identifier: Apache-2.0

// Rows of states, and softmax attention over them.
#pragma once

#include "core/api/graph.hpp"

namespace perdure::op {

// Row `index` [rows, 1] of a state: [rows, state columns].
inline Value state_read(GraphBuilder& g, Value state, Value index) {
  return g.apply("state_read", {state, index});
}

// Writes x [rows, state columns] to row `index` of a state, for rows whose role is in the bit mask
// `roles` (default: token rows). Nodes added later read what was written. Two rows of a session may
// not write the same state row in one step: which one stays is undefined (the checked mode refuses
// it).
inline void state_write(GraphBuilder& g, Value x, Value state, Value index, int64_t roles = 1) {
  g.apply("state_write", {x, state, index}, {{"roles", roles}});
}

// One stretch of keys that attend looks at.
struct KeyRange {
  Value keys;           // state, [n_kv_heads * head_size] per row; or rows of the step, key j
                        // being the session's row j in it
  Value values;         // likewise, [n_kv_heads * value_size]
  Value range;          // [rows, 3] I64: first, end, shift
  int64_t query = 0;    // which of the queries meets these keys
  bool rotate = false;  // keys are stored un-rotated: rotate key j by row floor((j + shift) /
                        // group) of `angles`
  int64_t group = 1;
  // B > 0: rotate key j by two rows of `angles` in turn, shift + j mod B and shift + B + floor(j /
  // B), so that few rows serve many places: the former turn by 0 .. B - 1 places, the latter by
  // multiples of B. `group` is 1.
  int64_t angle_block = 0;
  // I64 [rows, m]: the row sees the keys list[first] .. list[end - 1] instead of first .. end - 1,
  // with 0 <= first and end <= m.
  Value list = {};
  bool weigh = false;  // its weights are added to AttendOptions.weights
};

// What attend does beyond softmax(q.k / sqrt(head_size)).
struct AttendOptions {
  double scale = 0.0;  // score = q.k * scale; 0 = q.k / sqrt(head_size)
  double cap = 0.0;    // then cap * tanh(score / cap); 0 = not
  Value slopes = {};   // then ALiBi: score - slopes[h] * |place - (j + shift)| for key j of query
  Value places = {};   // head h; slopes constant [1, n_heads], places I64 [rows, 1]
  int64_t value_size = 0;  // columns of a head of the values; 0 = head_size
  bool halves = false;     // keys rotate as under RopeForm.halves
  // A state of m columns, m a divisor of n_heads: to row j of it the weights are added that key j
  // gets in the ranges that `weigh`, for all rows of the step; column c takes the query heads
  // c * n_heads / m up to the next column's. Added row by row, head by head, whatever the threads.
  // Keys beyond the rows of the state are not counted.
  Value weights = {};
};

// Softmax attention of every row over its ranges together: score = q.k / sqrt(head_size), query
// head h uses key head h / (n_heads / n_kv_heads), softmax over all ranges, sum of values. queries:
// one or two [rows, n_heads * head_size]; at most PERDURE_MAX_KEY_RANGES ranges; angles: constant
// [n_positions, rotary] (cos, sin pairs), only if a range rotates; rotary is head_size, or less if
// only the first columns of a key turn. Result [rows, n_heads * value_size]; a row without keys
// gives zeros.
inline Value attend(GraphBuilder& g, const std::vector<Value>& queries,
                    const std::vector<KeyRange>& ranges, int64_t n_heads, int64_t n_kv_heads,
                    Value angles = {}, const AttendOptions& options = {}) {
  std::vector<Value> in;
  if (options.weights.valid()) in.push_back(options.weights);
  in.insert(in.end(), queries.begin(), queries.end());
  Attributes a{{"n_heads", n_heads},
               {"n_kv_heads", n_kv_heads},
               {"n_queries", static_cast<int64_t>(queries.size())},
               {"n_ranges", static_cast<int64_t>(ranges.size())}};
  std::vector<int64_t> query, rotate, group, angle_block, listed, weigh;
  bool any_listed = false, any_weighs = false;
  for (const KeyRange& r : ranges) {
    in.insert(in.end(), {r.keys, r.values, r.range});
    query.push_back(r.query);
    rotate.push_back(r.rotate);
    group.push_back(r.group);
    angle_block.push_back(r.angle_block);
    listed.push_back(r.list.valid());
    weigh.push_back(r.weigh);
    any_listed = any_listed || r.list.valid();
    any_weighs = any_weighs || r.weigh;
  }
  a.insert(a.end(),
           {{"query", query}, {"rotate", rotate}, {"group", group}, {"angle_block", angle_block}});
  if (any_listed) a.emplace_back("listed", listed);
  if (any_weighs) a.emplace_back("weigh", weigh);
  if (angles.valid()) in.push_back(angles);
  for (const KeyRange& r : ranges)
    if (r.list.valid()) in.push_back(r.list);
  if (options.slopes.valid()) in.insert(in.end(), {options.slopes, options.places});
  if (options.scale != 0.0) a.emplace_back("scale", options.scale);
  if (options.cap != 0.0) a.emplace_back("cap", options.cap);
  if (options.slopes.valid()) a.emplace_back("slopes", int64_t{1});
  if (options.value_size != 0) a.emplace_back("value_size", options.value_size);
  if (options.halves) a.emplace_back("halves", int64_t{1});
  return g.apply(options.weights.valid() ? "attend_weighing" : "attend", in, a);
}

}  // namespace perdure::op
