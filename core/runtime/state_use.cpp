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

const std::vector<int64_t>* list(const Node& node, std::string_view name) {
  for (const auto& [key, value] : node.attributes)
    if (const auto* l = std::get_if<std::vector<int64_t>>(&value); l && key == name) return l;
  return nullptr;
}

// attend: behind the queries, keys, values and range of every stretch; behind the angles, which a
// constant [n, rotary] is, the lists of the stretches that have one.
std::vector<StateUse> ranges_of(const Graph& graph, const Node& node) {
  std::vector<StateUse> uses;
  const bool weighing = node.operation->name == "attend_weighing";
  if (weighing) uses.push_back({Kind::kUnknown, 0});
  const auto first = static_cast<uint32_t>(integer(node, "n_queries", 1)) + (weighing ? 1u : 0u);
  const auto n_ranges = static_cast<uint32_t>(integer(node, "n_ranges", 0));
  const auto* listed = list(node, "listed");
  uint32_t next_list = first + 3 * n_ranges;
  if (listed && graph.info(node.inputs[next_list]).type.kind == ValueKind::kConstant) ++next_list;
  for (uint32_t r = 0; r < n_ranges; ++r) {
    const bool has_list = listed && r < listed->size() && (*listed)[r] != 0;
    for (const uint32_t values : {first + 3 * r, first + 3 * r + 1})
      uses.push_back({has_list ? Kind::kReadList : Kind::kReadRange, values, first + 3 * r + 2, 1,
                      has_list ? next_list : 0});
    next_list += has_list ? 1 : 0;
  }
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
  if (name == "attend" || name == "attend_weighing") return ranges_of(graph, node);
  if (name == "row_input") return sources_of(graph, node);
  if (name == "state_read") return {{Kind::kReadRow, 0, 1}};
  if (name == "state_write") return {{Kind::kWriteRow, 1, 2, integer(node, "roles", 1)}};
  std::vector<StateUse> uses;
  for (const int input : node.operation->writes)
    uses.push_back({Kind::kUnknown, static_cast<uint32_t>(input)});
  return uses;
}

}  // namespace perdure
