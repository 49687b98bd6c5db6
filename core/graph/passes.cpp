// SPDX-License-Identifier: Apache-2.0

#include "core/graph/passes.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace perdure {

void quantize_activations(Graph& graph, const OperationTable& operations) {
  const Operation* quantize = operations.find("quantize");
  std::map<std::pair<int32_t, int64_t>, Value> quantised;
  std::vector<Node> nodes;
  for (Node& node : graph.nodes) {
    const bool product = node.operation->name == "mat_mul";
    const ValueType w = product ? graph.info(node.inputs[1]).type : ValueType{};
    if (product && w.dtype == PERDURE_Q80 && graph.info(node.inputs[0]).type.dtype == PERDURE_F32) {
      const Value x = node.inputs[0];
      Value& q = quantised[{x.id, w.group_size}];
      if (!q.valid()) {
        ValueInfo info{graph.info(x).type, Origin::kNode, {}, {}};
        info.type.dtype = PERDURE_Q80;
        info.type.group_size = w.group_size;
        graph.values.push_back(std::move(info));
        q = {static_cast<int32_t>(graph.values.size() - 1)};
        nodes.push_back({quantize, {x}, {{"group_size", w.group_size}}, {q}});
      }
      node.inputs[0] = q;
    }
    nodes.push_back(std::move(node));
  }
  graph.nodes = std::move(nodes);
}

void fuse_composites(Graph& graph, const OperationTable& operations, const FusionAllowed& allowed) {
  if (!allowed({"silu", "mul"}, "silu_mul")) return;
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
    mul.operation = silu_mul;
    mul.inputs[0] = silu.inputs[0];
    graph.nodes.erase(graph.nodes.begin() + static_cast<std::ptrdiff_t>(i));
    --i;
  }
}

}  // namespace perdure
