// SPDX-License-Identifier: Apache-2.0

// What becomes of sessions when a kernel fails in the middle of a step.
#include <doctest/doctest.h>

#include <cstring>

#include "core/api/kernel.h"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

bool fails = false;
int reads_left = -1;  // until reading state fails; below 0: it never does

// Sigmoid-linear units that are the identity; any numbers do here.
int prepare(const perdure_node* node, void* params) {
  *static_cast<int64_t*>(params) = node->inputs[0].tensor.row_stride_bytes;
  return PERDURE_OK;
}

void divide(const perdure_call* call, perdure_work* work) { *work = {call->step->n_rows, 1}; }

int run(const perdure_call* call, int64_t begin, int64_t end, void*) {
  if (fails) return PERDURE_FAILED;
  const int64_t bytes = *static_cast<const int64_t*>(call->params);
  for (int64_t r = begin; r < end; ++r)
    std::memcpy(static_cast<char*>(call->outputs[0].tensor.data) + r * bytes,
                static_cast<const char*>(call->inputs[0].tensor.data) + r * bytes,
                static_cast<size_t>(bytes));
  return PERDURE_OK;
}

int prepare_read(const perdure_node*, void*) { return PERDURE_OK; }

int run_read(const perdure_call* call, int64_t begin, int64_t end, void*) {
  if (reads_left == 0) return PERDURE_FAILED;
  if (reads_left > 0) --reads_left;
  const perdure_tensor &index = call->inputs[1].tensor, &y = call->outputs[0].tensor;
  for (int64_t r = begin; r < end; ++r) {
    const auto& session = call->step->sessions[call->step->rows[r].session];
    const perdure_state_view& view = session.states[call->inputs[0].state];
    std::memcpy(static_cast<char*>(y.data) + r * y.row_stride_bytes,
                perdure_state_row(&view, static_cast<const int64_t*>(index.data)[r]),
                static_cast<size_t>(view.row_bytes));
  }
  return PERDURE_OK;
}

perdure_kernel failing_kernel(const char* name, const char* op,
                              decltype(perdure_kernel::prepare) prepare,
                              decltype(perdure_kernel::run) run) {
  perdure_kernel k{};
  k.struct_size = sizeof k;
  k.name = name;
  k.op = op;
  k.isa = "failing";
  k.params_bytes = sizeof(int64_t);
  k.prepare = prepare;
  k.divide = divide;
  k.run = run;
  return k;
}

const void* failing_entry() {
  static const perdure_kernel kernels[] = {
      failing_kernel("silu_mul_f32_failing", "silu_mul", prepare, run),
      failing_kernel("state_read_f32_failing", "state_read", prepare_read, run_read)};
  static const perdure_kernel_plugin plugin = {sizeof plugin, PERDURE_KERNEL_ABI, 2, kernels};
  return &plugin;
}

std::vector<StaticPlugin> plugins_with_failing() {
  std::vector<StaticPlugin> plugins(linked_plugins().begin(), linked_plugins().end());
  plugins.push_back({"kernels", "failing", failing_entry});
  return plugins;
}

}  // namespace

TEST_CASE(
    "a session in whose step a kernel failed takes nothing and saves nothing until restored") {
  const auto plugins = plugins_with_failing();
  Engine engine(golden_settings("llama.v0.bin", {"kernels.prefer=[failing, scalar]"}), plugins);
  const auto tokens = random_tokens(12, engine.spec().info.vocab_size, 4);
  Session hit = engine.new_session(), spared = engine.new_session();
  const auto expected = all_logits(engine, hit, tokens);
  const auto saved = hit.snapshot();

  fails = true;
  CHECK_THROWS_WITH_AS(all_logits(engine, hit, tokens),
                       doctest::Contains("the kernel 'silu_mul_f32_failing' of the plugin "
                                         "kernels.failing (built in) failed with status 2"),
                       Error);
  fails = false;
  CHECK_THROWS_WITH_AS(all_logits(engine, hit, tokens), doctest::Contains("a step failed"), Error);
  CHECK_THROWS_WITH_AS(hit.snapshot(), doctest::Contains("restore it from a snapshot"), Error);

  CHECK(all_logits(engine, spared, tokens) == expected);
  hit.restore(saved);
  CHECK(hit.position() == 12);
  CHECK(all_logits(engine, hit, tokens) == all_logits(engine, spared, tokens));
}

TEST_CASE("a phase that fails fails all its sessions, computed before or not, and no other") {
  const auto plugins = plugins_with_failing();
  // A session's end of a segment takes a step of its own; only these read state.
  Engine engine(golden_settings("memA.q80.bin", {"kernels.pin={state_read: state_read_f32_failing}",
                                                 "step.max_rows=8"}),
                plugins);
  const ModelInfo& info = engine.spec().info;
  REQUIRE(info.mem_len == 8);
  const auto tokens = random_tokens(8, info.vocab_size, 4);
  std::vector<Session> sessions;
  for (int i = 0; i < 4; ++i) {
    sessions.push_back(engine.new_session());
    all_logits(engine, sessions.back(), std::span(tokens).first(7));
  }
  std::vector<Feed> feeds;
  for (size_t i = 0; i < 3; ++i) feeds.push_back({&sessions[i], std::span(tokens).last(1)});
  reads_left = static_cast<int>(info.num_hidden_layers);  // the first session's
  CHECK_THROWS_WITH_AS(engine.feed(feeds, [](size_t, size_t, std::span<const float>) {}),
                       doctest::Contains("state_read_f32_failing"), Error);
  reads_left = -1;
  for (size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    CHECK_THROWS_WITH_AS(all_logits(engine, sessions[i], tokens),
                         doctest::Contains("a step failed"), Error);
    CHECK_THROWS_AS(sessions[i].snapshot(), Error);
  }
  CHECK_NOTHROW(all_logits(engine, sessions[3], tokens));
}
