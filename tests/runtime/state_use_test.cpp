// SPDX-License-Identifier: Apache-2.0

// Where the checked mode looks for reads and writes of state.
#include "core/runtime/state_use.hpp"

#include <doctest/doctest.h>

#include "core/api/operations.hpp"

using namespace perdure;
using Kind = StateUse::Kind;

TEST_CASE("attend reads ranges and lists of keys, and adds weights where it says") {
  const OperationTable operations;
  const StateTypes states{{"cache", {.kind = ValueKind::kState, .rows = 4, .columns = 8}},
                          {"weights", {.kind = ValueKind::kState, .rows = 4, .columns = 1}}};
  Builder b("test", operations, [](std::string_view) { return nullptr; }, states);
  const Value x = op::row_input(b, b.constant("table", 2, 8, std::vector<float>(16)));
  const Value angles = b.constant("angles", 2, 4, std::vector<float>(8));
  const Value cache = b.state("cache"), index = op::row_index(b);
  const op::KeyRange range{.keys = cache, .values = cache, .range = op::window_range(b, index)};
  op::KeyRange listed = range;
  listed.list = op::concat(b, {index, index});
  for (const bool has_angles : {false, true})
    for (const bool weighs : {false, true}) {
      INFO("angles: ", has_angles, ", weights: ", weighs);
      listed.weigh = weighs;
      op::AttendOptions options;
      if (weighs) options.weights = b.state("weights");
      b.output("y." + std::to_string(2 * has_angles + weighs),
               op::attend(b, {x}, {range, listed}, 2, 2, has_angles ? angles : Value{}, options));
    }
  const Graph graph = b.finish();
  int n_nodes = 0;
  for (const Node& node : graph.nodes) {
    if (!node.operation->name.starts_with("attend")) continue;
    ++n_nodes;
    const uint32_t first = node.operation->name == "attend_weighing" ? 1 : 0;
    std::vector<StateUse> uses = state_uses(graph, node);
    if (first == 1) {
      CHECK(uses.back().kind == Kind::kAddList);
      CHECK(uses.back().values == 0);
      uses.pop_back();
    }
    REQUIRE(uses.size() == 4);
    CHECK(uses[0].kind == Kind::kReadRange);
    CHECK(uses[0].values == first + 1);
    CHECK(uses[1].index == first + 3);
    CHECK(uses[3].kind == Kind::kReadList);
    CHECK(uses[3].values == first + 5);
    CHECK(graph.info(node.inputs[uses[3].list]).type.columns == 2);
  }
  CHECK(n_nodes == 4);
}
