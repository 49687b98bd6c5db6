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

// Element `r` of a list with one for each range.
int64_t of_range(const Node& node, std::string_view name, size_t r, int64_t otherwise) {
  for (const auto& [key, value] : node.attributes)
    if (const auto* l = std::get_if<std::vector<int64_t>>(&value); l && key == name)
      return r < l->size() ? (*l)[r] : otherwise;
  return otherwise;
}

// The inputs of an attend node: [weights,] queries, then keys, values and range of every stretch,
// [angles,] the lists of the stretches that have one, [slopes, places].
struct AttendInputs {
  const Graph& graph;
  const Node& node;
  bool weighing = node.operation->name == "attend_weighing";
  uint32_t first = static_cast<uint32_t>(integer(node, "n_queries", 1)) + (weighing ? 1u : 0u);
  uint32_t n_ranges = static_cast<uint32_t>(integer(node, "n_ranges", 0));
  uint32_t angles = first + 3 * n_ranges;

  // Slopes are a constant too, lists and places are rows.
  bool has_angles() const {
    const uint32_t slopes = integer(node, "slopes", 0) != 0 ? 2 : 0;
    return node.inputs.size() > angles + slopes &&
           graph.info(node.inputs[angles]).type.kind == ValueKind::kConstant;
  }
};

std::vector<StateUse> ranges_of(const Graph& graph, const Node& node) {
  std::vector<StateUse> uses;
  const AttendInputs inputs{graph, node};
  uint32_t next_list = inputs.angles + (inputs.has_angles() ? 1 : 0);
  for (uint32_t r = 0; r < inputs.n_ranges; ++r) {
    const uint32_t keys = inputs.first + 3 * r, range = keys + 2;
    const bool listed = of_range(node, "listed", r, 0) != 0;
    const uint32_t list = listed ? next_list++ : 0;
    const Kind read = listed ? Kind::kReadList : Kind::kReadRange;
    StateUse::Rotation rotation;
    if (of_range(node, "rotate", r, 0) != 0)
      rotation = {inputs.angles, of_range(node, "group", r, 1),
                  of_range(node, "angle_block", r, 0)};
    uses.push_back({read, keys, range, 1, list, rotation});
    uses.push_back({read, keys + 1, range, 1, list});
    if (of_range(node, "weigh", r, 0) != 0)
      uses.push_back({listed ? Kind::kAddList : Kind::kAddRange, 0, range, 1, list});
  }
  return uses;
}

std::vector<StateUse> sources_of(const Node& node) {
  std::vector<StateUse> uses;
  for (uint32_t i = 0; i < node.inputs.size(); ++i) uses.push_back({Kind::kReadSource, i, i});
  return uses;
}

}  // namespace

std::vector<StateUse> state_uses(const Graph& graph, const Node& node) {
  const std::string& name = node.operation->name;
  if (name == "attend" || name == "attend_weighing") return ranges_of(graph, node);
  if (name == "row_input") return sources_of(node);
  if (name == "state_read") return {{Kind::kReadRow, 0, 1}};
  if (name == "state_write") return {{Kind::kWriteRow, 1, 2, integer(node, "roles", 1)}};
  if (name == "lookup") return {{Kind::kReadNear, 0, 1}};
  if (name == "rope_angles" && node.inputs.size() == 3) return {{Kind::kReadRow, 1, 2}};
  std::vector<StateUse> uses;
  for (const int input : node.operation->writes)
    uses.push_back({Kind::kUnknown, static_cast<uint32_t>(input)});
  return uses;
}

}  // namespace perdure
