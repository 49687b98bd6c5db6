// SPDX-License-Identifier: Apache-2.0

// Parts of a transformer's block as nodes: products with their bias, norms, feed-forwards, the way
// from the residual stream to logits. Architectures are made of them, and so are strategies that
// bring blocks of their own (an encoder, a feed-forward for memory). A part uses as much as the
// model has weights for: a product adds `X.bias` where there is one beside `X.weight`.
#pragma once

#include <string>

#include "core/api/operations.hpp"

namespace perdure::blocks {

// An element-wise function of op, for example op::silu.
using Activation = Value (*)(GraphBuilder& g, Value x);

// x + `name`.bias, where the model has it.
inline Value with_bias(GraphBuilder& g, const std::string& name, Value x) {
  return g.has_weight(name + ".bias") ? op::add_row(g, x, g.weight(name + ".bias")) : x;
}

// x W^T (+ bias): x [*, k], `name`.weight [n, k], result [*, n].
inline Value linear(GraphBuilder& g, const std::string& name, Value x) {
  return with_bias(g, name, op::mat_mul(g, x, g.weight(name + ".weight")));
}

// A norm of rows: by mean and variance where the model has `name`.bias, otherwise by the root mean
// square. x [*, n], `name`.weight [1, n].
inline Value norm(GraphBuilder& g, const std::string& name, Value x, double eps) {
  const Value weight = g.weight(name + ".weight");
  return g.has_weight(name + ".bias") ? op::layer_norm(g, x, weight, g.weight(name + ".bias"), eps)
                                      : op::rms_norm(g, x, weight, eps);
}

// down(activation(gate x) * up x), the three being `prefix`gate, `prefix`up and `prefix`down.
// x [*, d], as normed; result [*, d].
inline Value gated_feed_forward(GraphBuilder& g, const std::string& prefix, Value x,
                                Activation activation = op::silu) {
  const Value gate = activation(g, linear(g, prefix + "gate", x));
  return linear(g, prefix + "down", op::mul(g, gate, linear(g, prefix + "up", x)));
}

// down(activation(up x)).
inline Value plain_feed_forward(GraphBuilder& g, const std::string& prefix, Value x,
                                Activation activation) {
  return linear(g, prefix + "down", activation(g, linear(g, prefix + "up", x)));
}

// Logits of the rows that asked for them: output_norm and the classifier, which is the embedding
// where the model has no `output.weight`. Selecting first spares both the other rows.
// residual [rows, d]; result [outputs, V].
inline Value logits(GraphBuilder& g, Value residual, double eps) {
  const Value x = norm(g, "output_norm", op::select_outputs(g, residual), eps);
  if (g.has_weight("output.weight")) return linear(g, "output", x);
  return op::mat_mul(g, x, g.weight("token_embd.weight"));
}

}  // namespace perdure::blocks
