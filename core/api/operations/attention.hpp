// SPDX-License-Identifier: Apache-2.0

// Rows of states, and softmax attention over them.
#pragma once

#include <vector>

#include "core/api/graph.hpp"

namespace perdure::op {

// Row `index` [rows, 1] of a state: [rows, state columns].
inline Value state_read(GraphBuilder& g, Value state, Value index) {
  return g.apply("state_read", {state, index});
}

// Writes x [rows, state columns] to row `index` of a state, for rows whose role is in the bit mask
// `roles` (default: token rows). Nodes added later read what was written.
inline void state_write(GraphBuilder& g, Value x, Value state, Value index, int64_t roles = 1) {
  g.apply("state_write", {x, state, index}, {{"roles", roles}});
}

// One stretch of keys that attend looks at.
struct KeyRange {
  Value keys;           // state, [n_kv_heads * head_size] per row; or rows of the step, key j
                        // being the session's row j in it
  Value values;         // likewise
  Value range;          // [rows, 3] I64: first, end, shift
  int64_t query = 0;    // which of the queries meets these keys
  bool rotate = false;  // keys are stored un-rotated: rotate key j by row floor((j + shift) /
                        // group) of `angles`
  int64_t group = 1;
  // B > 0: rotate key j by two rows of `angles` in turn, shift + j mod B and shift + B + floor(j /
  // B), so that few rows serve many places: the former turn by 0 .. B - 1 places, the latter by
  // multiples of B. `group` is 1.
  int64_t angle_block = 0;
};

// Softmax attention of every row over its ranges, at most PERDURE_MAX_KEY_RANGES, together: score =
// q.k / sqrt(head_size), query head h uses key head h / (n_heads / n_kv_heads), softmax over all
// ranges, sum of values. queries: one or two [rows, n_heads * head_size]; angles: constant
// [n_positions, head_size] (cos, sin pairs), only if a range rotates. Result [rows, n_heads *
// head_size]; a row without keys gives zeros.
inline Value attend(GraphBuilder& g, const std::vector<Value>& queries,
                    const std::vector<KeyRange>& ranges, int64_t n_heads, int64_t n_kv_heads,
                    Value angles = {}) {
  std::vector<Value> in = queries;
  Attributes a{{"n_heads", n_heads},
               {"n_kv_heads", n_kv_heads},
               {"n_queries", static_cast<int64_t>(queries.size())},
               {"n_ranges", static_cast<int64_t>(ranges.size())}};
  std::vector<int64_t> query, rotate, group, angle_block;
  for (const KeyRange& r : ranges) {
    in.insert(in.end(), {r.keys, r.values, r.range});
    query.push_back(r.query);
    rotate.push_back(r.rotate);
    group.push_back(r.group);
    angle_block.push_back(r.angle_block);
  }
  a.insert(a.end(),
           {{"query", query}, {"rotate", rotate}, {"group", group}, {"angle_block", angle_block}});
  if (angles.valid()) in.push_back(angles);
  return g.apply("attend", in, a);
}

}  // namespace perdure::op
