// SPDX-License-Identifier: Apache-2.0

// What follows from a row's position: its place in a state, its rotation, the keys it sees. Indices
// are I64 [rows, 1], ranges I64 [rows, 3].
#pragma once

#include "core/api/graph.hpp"

namespace perdure::op {

// Per row an I64: offset + (p mod modulus), or offset + p if modulus is 0; at most `cap` (0 = no
// cap). [rows, 1].
inline Value row_index(GraphBuilder& g, int64_t modulus = 0, int64_t offset = 0, int64_t cap = 0) {
  return g.apply("row_index", {}, {{"modulus", modulus}, {"offset", offset}, {"cap", cap}});
}

// Per row, of its segment (perdure_row), as I64 [rows, 1]: its place from 0, for rows of a phase's
// graph their number; how many segments its session had before; the tokens of the segment up to the
// row, in the `end` graph all of them.
inline Value segment_index(GraphBuilder& g) { return g.apply("segment_index", {}); }
inline Value segment_number(GraphBuilder& g) { return g.apply("segment_number", {}); }
inline Value segment_tokens(GraphBuilder& g) { return g.apply("segment_tokens", {}); }

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

// Which columns of a head turn together.
struct RopeForm {
  // false: the adjacent pairs (0, 1), (2, 3), ...; true: columns i and i + rotary / 2, as in the
  // models of Hugging Face.
  bool halves = false;
  // Columns of a head of which the first `rotary` turn and the others stay; 0 = rotary.
  int64_t head_size = 0;
};

// Rotates the pairs of every head: (x0, x1) -> (x0 cos - x1 sin, x0 sin + x1 cos). x [*, heads *
// head_size]; angles [*, rotary] as made by rope_angles, cosine and sine of pair i in columns 2i
// and 2i + 1 in both forms.
inline Value rope(GraphBuilder& g, Value x, Value angles, const RopeForm& form = {}) {
  Attributes a;
  if (form.halves) a.emplace_back("halves", int64_t{1});
  if (form.head_size != 0 && form.head_size != g.type(angles).columns)
    a.emplace_back("head_size", form.head_size);
  return g.apply("rope", {x, angles}, a);
}

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

// All rows that a counted state or one of an input stream holds: first = 0, end = live rows, shift
// = 0.
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

}  // namespace perdure::op
