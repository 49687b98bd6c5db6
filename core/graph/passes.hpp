// SPDX-License-Identifier: Apache-2.0

// Rewrites of a finished graph. Each keeps the graph's meaning, or says how it changes the numbers.
#pragma once

#include <functional>

#include "core/base/json/json.hpp"
#include "core/graph/graph.hpp"

namespace perdure {

// Puts `quantize` in front of every product with a quantised weight, one node per (value, type,
// group size), so that products of the same input share it. Changes numbers: activations are
// rounded to 8 bit, as llama2.c's runq does.
void quantize_activations(Graph& graph, const OperationTable& operations);

// Replaces mul(silu(a), b) by the composite silu_mul(a, b) where nothing else reads the silu.
// `allowed` is asked with the operations of the decomposition and the composite's name; false keeps
// the parts. Returns how many were kept for that reason.
using FusionAllowed =
    std::function<bool(const std::vector<std::string>& parts, const std::string& composite)>;
size_t fuse_composites(Graph& graph, const OperationTable& operations,
                       const FusionAllowed& allowed);

// Whether two graphs of the same model compute the same numbers by the same nodes: names of graphs
// and constants, authors and numbers of values apart.
bool computes_same(const Graph& a, const Graph& b);

// The graph for people: one line per node.
std::string to_text(const Graph& graph);
// For Graphviz.
std::string to_dot(const Graph& graph);
// For scripts: {"name", "nodes": [{"operation", "author", "inputs", "attributes", "results"}],
// "outputs": {name: value}}. A value has a name, an origin (node, weight, constant, state), a type
// and a shape whose rows are a number, "rows" or "outputs".
Json to_json(const Graph& graph);

}  // namespace perdure
