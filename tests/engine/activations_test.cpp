// SPDX-License-Identifier: Apache-2.0

// The setting kernels.activations, and what a plan says about kernels that were not joined.
#include <doctest/doctest.h>

#include "core/api/error.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

TEST_CASE("8-bit activations of a model without quantised weights are refused, not ignored") {
  CHECK_THROWS_WITH_AS(
      Engine(golden_settings("llama.v0.bin", {"kernels.activations=q8"}), linked_plugins()),
      doctest::Contains("kernels.activations is q8, but the model has no quantised weights"),
      UsageError);
  Engine quantised(golden_settings("memA.q80.bin", {"kernels.activations=q8"}), linked_plugins());
  CHECK(quantised.describe_plan("step").find("mat_mul_q80_scalar") != std::string::npos);
}

TEST_CASE("a plan says why silu and mul are not joined, and only then") {
  const auto plan = [](std::vector<std::string> overrides) {
    return Engine(golden_settings("llama.v0.bin", std::move(overrides)), linked_plugins())
        .describe_plan("step");
  };
  CHECK(plan({}).find("not joined") == std::string::npos);
  const std::string pinned = plan({"kernels.pin={silu: silu_f32_scalar}"});
  CHECK(pinned.find("silu and mul are not joined to silu_mul") != std::string::npos);
  CHECK(pinned.find("kernels.pin names a kernel for silu") != std::string::npos);
}
