// SPDX-License-Identifier: Apache-2.0

// Every node of a model's graph counts: taking one out changes the logits.
#include <doctest/doctest.h>

#include <array>
#include <optional>

#include "core/engine/engine_impl.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

struct Surgery {
  Engine::Impl impl{golden_settings("memA.q80.bin", {"step.max_rows=32"}), linked_plugins(),
                    nullptr};

  // Compiles the step graph as it is now and returns the last logits of one segment.
  std::vector<float> logits() {
    impl.step.plans.clear();
    impl.compile_plans(impl.step, std::array{impl.max_rows}, impl.max_outputs);
    size_t arena_bytes = 0, scratch_bytes = 0;
    for (Plan& plan : impl.step.plans) {
      arena_bytes = std::max(arena_bytes, plan.arena_bytes());
      scratch_bytes = std::max(scratch_bytes, plan.scratch_bytes());
    }
    Buffer arena(std::max(arena_bytes, impl.arena.size()));
    for (Plan& plan : impl.step.plans) plan.bind(arena.data());
    Executor executor(*impl.threads, impl.step.graph.nodes.size(), scratch_bytes);
    Session::Impl session(impl, *impl.layout);
    session.state.copy_fixed(*impl.initial_state);
    std::vector<float> result;
    // One segment: what lies behind it needs the engine's boundary graphs, which are not under the
    // knife here.
    const auto tokens = random_tokens(8, impl.model.spec().info.vocab_size, 2);
    impl.clear_step();
    for (size_t i = 0; i < tokens.size(); ++i)
      impl.add_row({static_cast<int64_t>(i), tokens[i], 0, PERDURE_ROLE_TOKEN, 0},
                   i + 1 == tokens.size());
    session.state.reserve(8);
    impl.add_session(session, 0, 8);
    const perdure_step step{.struct_size = sizeof step,
                            .n_rows = 8,
                            .rows = impl.rows.data(),
                            .n_outputs = 1,
                            .output_rows = impl.output_rows.data(),
                            .n_sessions = 1,
                            .sessions = impl.sessions.data(),
                            .device = 0,
                            .queue = nullptr};
    executor.run(impl.step.plans.front(), step);
    const perdure_tensor& t = impl.step.plans.front().output("logits");
    const float* values = static_cast<const float*>(t.data);
    return {values, values + t.shape[1]};
  }
};

bool removable(const Graph& graph, const Node& node) {
  if (node.inputs.empty()) return false;
  if (node.results.size() > 1) return false;
  if (!node.result().valid()) return true;
  const ValueType &in = graph.info(node.inputs[0]).type, &out = graph.info(node.result()).type;
  return in.kind == out.kind && in.columns == out.columns && in.dtype == out.dtype;
}

}  // namespace

TEST_CASE("removing any node from a model's graph changes its logits") {
  Surgery surgery;
  const auto expected = surgery.logits();
  const Graph original = surgery.impl.step.graph;
  // What a segment leaves behind is read in the next one only.
  auto is_for_later = [&](const Node& node) {
    return node.operation->name == "state_write" &&
           original.info(node.inputs[1]).name.find("mem_raw") != std::string::npos;
  };
  size_t n_removed = 0;
  for (size_t i = 0; i < original.nodes.size(); ++i) {
    if (!removable(original, original.nodes[i]) || is_for_later(original.nodes[i])) continue;
    CAPTURE(i);
    CAPTURE(original.nodes[i].operation->name);
    surgery.impl.step.graph = original;
    surgery.impl.step.graph.remove_node(i);
    CHECK(surgery.logits() != expected);
    ++n_removed;
  }
  CHECK(n_removed > 20);
}
