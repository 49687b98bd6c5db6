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

const void* failing_entry() {
  static const perdure_kernel kernel = [] {
    perdure_kernel k{};
    k.struct_size = sizeof k;
    k.name = "silu_mul_f32_failing";
    k.op = "silu_mul";
    k.isa = "failing";
    k.params_bytes = sizeof(int64_t);
    k.prepare = prepare;
    k.divide = divide;
    k.run = run;
    return k;
  }();
  static const perdure_kernel_plugin plugin = {sizeof plugin, PERDURE_KERNEL_ABI, 1, &kernel};
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
