// SPDX-License-Identifier: Apache-2.0

#include "core/graph/passes.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "core/base/dtype.hpp"

namespace perdure {

namespace {

// What the activations of a product become; F32 if they stay what they are.
ValueType quantised_type(const ValueType& x, const ValueInfo& weight) {
  ValueType t = x;
  const ValueType& w = weight.type;
  const perdure_dtype dtype = activation_type(w.dtype);
  // Groups that straddle rows have no product of integers.
  const bool straddles = w.group_size != 0 && (w.columns % w.group_size != 0 ||
                                               weight.tensor.row_stride_bytes % w.group_size != 0);
  if (x.dtype != PERDURE_F32 || dtype == PERDURE_F32 || straddles) return t;
  t.dtype = dtype;
  t.group_size = w.group_size;
  return t;
}

Attributes quantize_attributes(const ValueType& type) {
  if (type.dtype == PERDURE_Q80) return {{"group_size", type.group_size}};
  return {{"type", std::string(dtype_name(type.dtype))}};
}

}  // namespace

void quantize_activations(Graph& graph, const OperationTable& operations) {
  const Operation* quantize = operations.find("quantize");
  std::map<std::tuple<int32_t, perdure_dtype, int64_t>, Value> quantised;
  std::vector<Node> nodes;
  for (Node& node : graph.nodes) {
    if (node.operation->name == "mat_mul") {
      const Value x = node.inputs[0];
      const ValueType type = quantised_type(graph.info(x).type, graph.info(node.inputs[1]));
      if (type.dtype != graph.info(x).type.dtype) {
        Value& q = quantised[{x.id, type.dtype, type.group_size}];
        if (!q.valid()) {
          graph.values.push_back({type, Origin::kNode, {}, {}});
          q = {static_cast<int32_t>(graph.values.size() - 1)};
          nodes.push_back({quantize, {x}, quantize_attributes(type), {q}});
        }
        node.inputs[0] = q;
      }
    }
    nodes.push_back(std::move(node));
  }
  graph.nodes = std::move(nodes);
}

size_t fuse_composites(Graph& graph, const OperationTable& operations,
                       const FusionAllowed& allowed) {
  const bool may_fuse = allowed({"silu", "mul"}, "silu_mul");
  size_t n_kept = 0;
  const Operation* silu_mul = operations.find("silu_mul");
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (graph.nodes[i].operation->name != "silu") continue;
    const Node silu = graph.nodes[i];
    const auto readers = graph.readers(silu.result());
    const bool leaves = std::any_of(graph.outputs.begin(), graph.outputs.end(),
                                    [&](const auto& o) { return o.second.id == silu.result().id; });
    if (readers.size() != 1 || leaves) continue;
    Node& mul = graph.nodes[readers[0]];
    if (mul.operation->name != "mul" || mul.inputs[0].id != silu.result().id ||
        mul.inputs[1].id == silu.result().id)
      continue;
    if (!may_fuse) {
      ++n_kept;
      continue;
    }
    mul.operation = silu_mul;
    mul.inputs[0] = silu.inputs[0];
    graph.nodes.erase(graph.nodes.begin() + static_cast<std::ptrdiff_t>(i));
    --i;
  }
  return n_kept;
}

}  // namespace perdure
