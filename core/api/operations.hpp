// SPDX-License-Identifier: Apache-2.0

// The built-in operations, one inline function each: what it computes, its shapes, its attributes.
// Strategies and architectures call these; `core/graph` holds the shape rules, `plugins/kernels`
// the kernels. In the comments `rows` is the symbolic row dimension, p a row's position, and all
// arithmetic is F32 unless said otherwise.
#pragma once

#include <string>
#include <vector>

#include "core/api/graph.hpp"

namespace perdure::op {

// Rows of the step as vectors: [rows, d]. A row of source 0 is row `index` (the token id) of
// `table` [V, d], of source k row `index` of sources[k-1] (a constant [n, d] or a state with d
// columns). Q80 tables are dequantised.
inline Value row_input(GraphBuilder& g, Value table, std::vector<Value> sources = {}) {
  sources.insert(sources.begin(), table);
  return g.apply("row_input", sources);
}

// y = w * (x / sqrt(mean(x^2) + eps)), mean over groups of `group` consecutive columns (0 = the
// whole row). x [*, n], weight [1, n] or an invalid handle for none. Summed left to right by
// `scalar`.
inline Value rms_norm(GraphBuilder& g, Value x, Value weight, double eps, int64_t group = 0) {
  std::vector<Value> in{x};
  if (weight.valid()) in.push_back(weight);
  return g.apply("rms_norm", in, {{"eps", eps}, {"group", group}});
}

// y = x W^T. x [*, k] F32 (or Q80, made by `quantize`), w [n, k] of any weight type; result [*, n]
// F32.
inline Value mat_mul(GraphBuilder& g, Value x, Value w) { return g.apply("mat_mul", {x, w}); }

// Rows quantised to int8 in groups: scale = max|x|/127, q = round-half-away(x/scale), zeros for a
// group of zeros. x [*, n] F32; result Q80. Put in front of products with Q80 weights by the
// engine, not by strategies.
inline Value quantize(GraphBuilder& g, Value x, int64_t group_size) {
  return g.apply("quantize", {x}, {{"group_size", group_size}});
}

// Element-wise, equal shapes [*, n].
inline Value add(GraphBuilder& g, Value a, Value b) { return g.apply("add", {a, b}); }
inline Value mul(GraphBuilder& g, Value a, Value b) { return g.apply("mul", {a, b}); }
inline Value sigmoid(GraphBuilder& g, Value x) {
  return g.apply("sigmoid", {x});
}  // 1 / (1 + exp(-x))
inline Value tanh(GraphBuilder& g, Value x) { return g.apply("tanh", {x}); }
inline Value silu(GraphBuilder& g, Value x) {
  return g.apply("silu", {x});
}  // x * (1 / (1 + exp(-x)))

// x [*, n] times s [*, 1].
inline Value scale_rows(GraphBuilder& g, Value x, Value s) { return g.apply("scale_rows", {x, s}); }

// Per row an I64: offset + (p mod modulus), or offset + p if modulus is 0; at most `cap` (0 = no
// cap). [rows, 1].
inline Value row_index(GraphBuilder& g, int64_t modulus = 0, int64_t offset = 0, int64_t cap = 0) {
  return g.apply("row_index", {}, {{"modulus", modulus}, {"offset", offset}, {"cap", cap}});
}

// Per row its number in its stream (perdure_row.stream_index) as I64 [rows, 1].
inline Value stream_index(GraphBuilder& g) { return g.apply("stream_index", {}); }

// index [rows, 1] I64 to another I64 [rows, 1]: floor((index + before) / group) + after, at least
// 0.
inline Value map_index(GraphBuilder& g, Value index, int64_t before, int64_t group = 1,
                       int64_t after = 0) {
  return g.apply("map_index", {index}, {{"before", before}, {"group", group}, {"after", after}});
}

// index [rows, 1] I64 to values[n], n being how many of `edges` [1, m] are <= index. values
// [1, m + 1]; both F32 constants that hold whole numbers. Result [rows, 1] I64.
inline Value piecewise_index(GraphBuilder& g, Value index, Value edges, Value values) {
  return g.apply("piecewise_index", {index, edges, values});
}

// How rope_angles makes cosines and sines; see there.
struct AngleRule {
  double divisor = 1.0;
  double xpos_lambda = 0.0;
  int64_t xpos_sign = 0;
  double scale = 1.0;
};

// Cosines and sines of a row's rotation, [rows, 2 * n] as cos0, sin0, cos1, sin1, ... from index
// [rows, 1] I64 and frequencies [m, n]: angle_i = f32(f32(index) / divisor) * frequency_i, an F32
// product for index < 2^17, in double beyond. With m > 1, `set` [rows, 1] I64 says which row of the
// frequencies is meant, and all angles are computed in double. With xpos_sign != 0 both are
// multiplied by real_i(index)^xpos_sign, real_i(p) = ((2i / (2n) + lambda) / (1 + lambda))^p. Both
// are multiplied by `scale`.
inline Value rope_angles(GraphBuilder& g, Value index, Value frequencies,
                         const AngleRule& rule = {}, Value set = {}) {
  std::vector<Value> in{index, frequencies};
  if (set.valid()) in.push_back(set);
  return g.apply("rope_angles", in,
                 {{"divisor", rule.divisor},
                  {"xpos_lambda", rule.xpos_lambda},
                  {"xpos_sign", rule.xpos_sign},
                  {"scale", rule.scale}});
}

// Rotates the adjacent pairs of every head: (x0, x1) -> (x0 cos - x1 sin, x0 sin + x1 cos).
// x [*, heads * head_size], angles [*, head_size] as made by rope_angles.
inline Value rope(GraphBuilder& g, Value x, Value angles) { return g.apply("rope", {x, angles}); }

// Per row log(index + 1) / log(train_length), at least 1 if clamp. index [rows, 1] I64; result
// [rows, 1].
inline Value log_n(GraphBuilder& g, Value index, int64_t train_length, bool clamp) {
  return g.apply("log_n", {index}, {{"train_length", train_length}, {"clamp", int64_t{clamp}}});
}

// The keys a row sees, as I64 [rows, 3]: first, end (exclusive), shift. `index` [rows, 1] is the
// row's own place among the keys. end = index + 1; first = max(lowest, end - window), or `lowest`
// if window is 0 or index >= all_from >= 0; an empty range has first = end. shift = rebase ? lowest
// - first : 0: `attend` rotates key j as position j + shift.
inline Value window_range(GraphBuilder& g, Value index, int64_t window = 0, int64_t lowest = 0,
                          int64_t all_from = -1, bool rebase = false) {
  return g.apply("window_range", {index},
                 {{"window", window},
                  {"lowest", lowest},
                  {"all_from", all_from},
                  {"rebase", int64_t{rebase}}});
}

// The first `sinks` keys as far as they are not after the row: first = 0, end = min(sinks, index +
// 1), shift = 0.
inline Value sink_range(GraphBuilder& g, Value index, int64_t sinks) {
  return g.apply("sink_range", {index}, {{"sinks", sinks}});
}

// All rows that the row's session has in this step, or all of its chunk: first = 0, end = their
// number, shift = 0. For keys that are rows.
inline Value step_range(GraphBuilder& g) { return g.apply("step_range", {}); }

// All rows that a state of an input stream holds: first = 0, end = live rows, shift = 0.
inline Value live_range(GraphBuilder& g, Value state) { return g.apply("live_range", {state}); }

// The keys of `range` [rows, 3] that lie within the last `near` places up to the row's own, `index`
// [rows, 1] (far = false), or those before them (far = true). Shifts stay.
inline Value cut_range(GraphBuilder& g, Value range, Value index, int64_t near, bool far) {
  return g.apply("cut_range", {range, index}, {{"near", near}, {"far", int64_t{far}}});
}

// `range` [rows, 3] with the shift `shift` [rows, 1] I64.
inline Value shift_range(GraphBuilder& g, Value range, Value shift) {
  return g.apply("shift_range", {range, shift});
}

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

// Softmax attention of every row over its ranges together: score = q.k / sqrt(head_size), query
// head h uses key head h / (n_heads / n_kv_heads), softmax over all ranges, sum of values. queries:
// one or two [rows, n_heads * head_size]; angles: constant [n_positions, head_size] (cos, sin
// pairs), only if a range rotates. Result [rows, n_heads * head_size]; a row without keys gives
// zeros.
inline Value attend(GraphBuilder& g, const std::vector<Value>& queries,
                    const std::vector<KeyRange>& ranges, int64_t n_heads, int64_t n_kv_heads,
                    Value angles = {}) {
  std::vector<Value> in = queries;
  Attributes a{{"n_heads", n_heads},
               {"n_kv_heads", n_kv_heads},
               {"n_queries", static_cast<int64_t>(queries.size())},
               {"n_ranges", static_cast<int64_t>(ranges.size())}};
  for (size_t r = 0; r < ranges.size(); ++r) {
    in.insert(in.end(), {ranges[r].keys, ranges[r].values, ranges[r].range});
    const std::string n = std::to_string(r);
    a.emplace_back("query." + n, ranges[r].query);
    a.emplace_back("rotate." + n, int64_t{ranges[r].rotate});
    a.emplace_back("group." + n, ranges[r].group);
    a.emplace_back("angle_block." + n, ranges[r].angle_block);
  }
  if (angles.valid()) in.push_back(angles);
  return g.apply("attend", in, a);
}

// The rows that asked for logits: [rows, n] -> [outputs, n].
inline Value select_outputs(GraphBuilder& g, Value x) { return g.apply("select_outputs", {x}); }

// Composite: mul(silu(a), b). Taken by the plan where a kernel claims it; not called by strategies.
// (Its decomposition is the definition.)

}  // namespace perdure::op
