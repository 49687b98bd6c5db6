// SPDX-License-Identifier: Apache-2.0

// Where rows come from, products with weights, rows cut and joined, and the rows that leave the
// step.
#pragma once

#include "core/api/graph.hpp"

namespace perdure::op {

// Rows of the step as vectors: [rows, d]. A row of source 0 is row `index` (the token id) of
// `table` [V, d], of source k row `index` of sources[k-1] (a constant [n, d] or a state with d
// columns). Quantised tables are dequantised.
inline Value row_input(GraphBuilder& g, Value table, std::vector<Value> sources = {}) {
  sources.insert(sources.begin(), table);
  return g.apply("row_input", sources);
}

// y = x W^T. x [*, k] F32 (or quantised, made by `quantize`), w [n, k] of any weight type; result
// [*, n] F32.
inline Value mat_mul(GraphBuilder& g, Value x, Value w) { return g.apply("mat_mul", {x, w}); }

// Rows quantised to int8 in groups: scale = max|x|/127, q = round-half-away(x/scale), zeros for a
// group of zeros. x [*, n] F32; result Q80. Put in front of products with Q80 weights by the
// engine, not by strategies.
inline Value quantize(GraphBuilder& g, Value x, int64_t group_size) {
  return g.apply("quantize", {x}, {{"group_size", group_size}});
}

// Rows quantised to the blocks of GGUF, Q8_0 (type "q8_0") or Q8_K ("q8_k"), rounded as ggml does.
// Put in front of products with weights of such types by the engine.
inline Value quantize(GraphBuilder& g, Value x, const char* type) {
  return g.apply("quantize", {x}, {{"type", std::string(type)}});
}

// Row index[r] of `table` [m, n] for each row: [rows, n] F32. index [rows, 1] I64. Tables of other
// types are dequantised as `row_input` does. An index below 0 reads row 0, one beyond the table its
// last row: nothing outside the table is ever read.
inline Value lookup(GraphBuilder& g, Value table, Value index) {
  return g.apply("lookup", {table, index});
}

// Row values side by side: parts [*, n_i] make [*, sum of n_i]. All F32 or all I64, so that indices
// make ranges.
inline Value concat(GraphBuilder& g, const std::vector<Value>& parts) {
  return g.apply("concat", parts);
}

// Columns first .. first + count - 1 of x [*, n], F32 or I64: [*, count].
inline Value slice(GraphBuilder& g, Value x, int64_t first, int64_t count) {
  return g.apply("slice", {x}, {{"first", first}, {"count", count}});
}

// The rows that asked for logits: [rows, n] -> [outputs, n].
inline Value select_outputs(GraphBuilder& g, Value x) { return g.apply("select_outputs", {x}); }

}  // namespace perdure::op
