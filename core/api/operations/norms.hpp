// SPDX-License-Identifier: Apache-2.0

// Norms of a row or of groups of its columns, and softmax over columns.
#pragma once

#include "core/api/graph.hpp"

namespace perdure::op {

// y = w * (x / sqrt(mean(x^2) + eps)), mean over groups of `group` consecutive columns (0 = the
// whole row). x [*, n], weight [1, n] or an invalid handle for none. Summed left to right by
// `scalar`.
inline Value rms_norm(GraphBuilder& g, Value x, Value weight, double eps, int64_t group = 0) {
  std::vector<Value> in{x};
  if (weight.valid()) in.push_back(weight);
  return g.apply("rms_norm", in, {{"eps", eps}, {"group", group}});
}

// y = w * ((x - mean) / sqrt(variance + eps)) + b with mean and biased variance (divided by the
// count) of each of `n_groups` equal groups of consecutive columns. x [*, n]; weight and bias [1,
// n] of any weight type, or an invalid handle for none. Two passes in F32: the mean, then the mean
// square of the differences. `scalar` sums left to right; the other kernels in vectors, always in
// the same order for the same n.
inline Value group_norm(GraphBuilder& g, Value x, Value weight, Value bias, int64_t n_groups,
                        double eps) {
  std::vector<Value> in{x};
  if (weight.valid()) in.push_back(weight);
  if (weight.valid() && bias.valid()) in.push_back(bias);
  const Value y = g.apply("group_norm", in, {{"eps", eps}, {"n_groups", n_groups}});
  return bias.valid() && !weight.valid() ? g.apply("add_row", {y, bias}) : y;
}

// The same over the whole row.
inline Value layer_norm(GraphBuilder& g, Value x, Value weight, Value bias, double eps) {
  return group_norm(g, x, weight, bias, 1, eps);
}

// exp(x - largest) / sum of these, over groups of `group` consecutive columns (0 = the whole row).
// x [*, n]. A group of nothing but -infinity gives zeros. Summed as in group_norm.
inline Value softmax(GraphBuilder& g, Value x, int64_t group = 0) {
  return g.apply("softmax", {x}, {{"group", group}});
}

}  // namespace perdure::op
