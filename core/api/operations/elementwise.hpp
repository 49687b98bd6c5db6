// SPDX-License-Identifier: Apache-2.0

// Operations on each element of a row.
#pragma once

#include "core/api/graph.hpp"

namespace perdure::op {

// Element-wise, equal shapes [*, n].
inline Value add(GraphBuilder& g, Value a, Value b) { return g.apply("add", {a, b}); }
inline Value mul(GraphBuilder& g, Value a, Value b) { return g.apply("mul", {a, b}); }

// Element-wise on one value [*, n].
// sigmoid: 1 / (1 + exp(-x)).
inline Value sigmoid(GraphBuilder& g, Value x) { return g.apply("sigmoid", {x}); }
inline Value tanh(GraphBuilder& g, Value x) { return g.apply("tanh", {x}); }
// silu: x * (1 / (1 + exp(-x))).
inline Value silu(GraphBuilder& g, Value x) { return g.apply("silu", {x}); }
inline Value exp(GraphBuilder& g, Value x) { return g.apply("exp", {x}); }
// gelu: x / 2 * (1 + erf(x / sqrt(2))).
inline Value gelu(GraphBuilder& g, Value x) { return g.apply("gelu", {x}); }
// gelu_tanh: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))).
inline Value gelu_tanh(GraphBuilder& g, Value x) { return g.apply("gelu_tanh", {x}); }
// relu_square: max(x, 0)^2; NaN stays NaN.
inline Value relu_square(GraphBuilder& g, Value x) { return g.apply("relu_square", {x}); }

// Every row plus, or times, the same vector: biases and scales. x [*, n]; v [1, n], a weight of any
// type or a constant. A difference a - b is add(a, mul_row(b, a constant row of -1)).
inline Value add_row(GraphBuilder& g, Value x, Value v) { return g.apply("add_row", {x, v}); }
inline Value mul_row(GraphBuilder& g, Value x, Value v) { return g.apply("mul_row", {x, v}); }

// Every row times numbers of its own: x [*, n], s [*, m], m a divisor of n; column j is multiplied
// by s[j / (n / m)]. m = 1: one number for the row; m = heads: one for each head.
inline Value scale_rows(GraphBuilder& g, Value x, Value s) { return g.apply("scale_rows", {x, s}); }

// Composite, not called by strategies: silu_mul is mul(silu(a), b), its decomposition being the
// definition. A plugin claims it by a kernel whose `op` is "silu_mul", with inputs a and b; the
// plan then puts it in place of the pair, unless kernels.pin names a kernel for a part, or a more
// preferred plugin computes a part and not the composite (`inspect plan` says so).

}  // namespace perdure::op
