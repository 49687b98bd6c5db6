// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/state_use.hpp"

#include <algorithm>
#include <string_view>

namespace perdure {
namespace {

using Kind = StateUse::Kind;

int64_t integer(const Node& node, std::string_view name, int64_t otherwise) {
  for (const auto& [key, value] : node.attributes)
    if (const auto* i = std::get_if<int64_t>(&value); i && key == name) return *i;
  return otherwise;
}

bool is_state(const Graph& graph, const Node& node, size_t input) {
  return graph.info(node.inputs[input]).origin == Origin::kState;
}

// attend: behind the queries, keys, values and range of every stretch.
std::vector<StateUse> ranges_of(const Node& node) {
  std::vector<StateUse> uses;
  const auto first = static_cast<uint32_t>(integer(node, "n_queries", 1));
  const auto n_ranges = static_cast<uint32_t>(integer(node, "n_ranges", 0));
  for (uint32_t r = 0; r < n_ranges; ++r)
    for (const uint32_t values : {first + 3 * r, first + 3 * r + 1})
      uses.push_back({Kind::kReadRange, values, first + 3 * r + 2});
  return uses;
}

std::vector<StateUse> sources_of(const Graph& graph, const Node& node) {
  std::vector<StateUse> uses;
  for (size_t i = 1; i < node.inputs.size(); ++i)
    if (is_state(graph, node, i))
      uses.push_back({Kind::kReadSource, static_cast<uint32_t>(i), static_cast<uint32_t>(i)});
  return uses;
}

}  // namespace

std::vector<StateUse> state_uses(const Graph& graph, const Node& node) {
  const std::string& name = node.operation->name;
  if (name == "attend") return ranges_of(node);
  if (name == "row_input") return sources_of(graph, node);
  if (name == "state_read") return {{Kind::kReadRow, 0, 1}};
  if (name == "state_write") return {{Kind::kWriteRow, 1, 2, integer(node, "roles", 1)}};
  std::vector<StateUse> uses;
  for (const int input : node.operation->writes)
    uses.push_back({Kind::kUnknown, static_cast<uint32_t>(input)});
  return uses;
}

}  // namespace perdure
