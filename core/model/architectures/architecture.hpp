// SPDX-License-Identifier: Apache-2.0

// Architectures: how a model's blocks become a graph. The mixing of tokens inside a block is the
// strategy's; residual stream, norms, feed-forward and classifier are here.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/api/graph.hpp"
#include "core/model/model.hpp"

namespace perdure {

// What the strategies put into a step graph.
struct StrategyNodes {
  // What mixing adds to the residual stream in a layer; both are [rows, hidden_size].
  std::function<Value(GraphBuilder& graph, int64_t layer, Value normed)> mix;
  // What a second block adds after it, or an invalid value; may be empty.
  std::function<Value(GraphBuilder& graph, int64_t layer, Value residual)> extra_block = {};
  // What becomes of the residual stream [rows, hidden_size] behind the last layer; may be empty.
  std::function<void(GraphBuilder& graph, Value residual)> finish = {};
  // States or weights that extra rows are read from, for row.source = 1, 2, ...
  std::vector<std::string> sources = {};
};

// Puts the step graph of `spec` into `graph`; its output is "logits" [outputs, vocab_size] F32.
// Errors: Error for an unknown architecture or a missing weight.
void build_step(GraphBuilder& graph, const ModelSpec& spec, const StrategyNodes& strategies);

}  // namespace perdure
