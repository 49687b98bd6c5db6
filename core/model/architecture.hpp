// SPDX-License-Identifier: Apache-2.0

// Architectures: how a model's blocks become a graph. The mixing of tokens inside a block is the
// strategy's; residual stream, norms, feed-forward and classifier are here.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "core/api/graph.hpp"
#include "core/model/model.hpp"

namespace perdure {

// What a strategy adds to the residual stream in one layer; both are [rows, hidden_size].
using MixLayer = std::function<Value(GraphBuilder& graph, int64_t layer, Value normed)>;

// What strategies do with the residual stream [rows, hidden_size] behind the last layer.
using FinishRows = std::function<void(GraphBuilder& graph, Value residual)>;

// Puts the step graph of `spec` into `graph`; its output is "logits" [outputs, vocab_size] F32.
// `sources`: names of states or weights that extra rows are read from, for row.source = 1, 2, ...
// Errors: Error for an unknown architecture or a missing weight.
void build_step(GraphBuilder& graph, const ModelSpec& spec, const MixLayer& mix,
                std::span<const std::string> sources, const FinishRows& finish = {});

}  // namespace perdure
