// SPDX-License-Identifier: Apache-2.0

// The setting kernels.activations, and what a plan says about kernels that were not joined.
#include <doctest/doctest.h>

#include "core/api/error.hpp"
#include "core/engine/shared_model.hpp"
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

TEST_CASE("a quantised embedding is no product: 8-bit activations are refused beside it") {
  const auto engine_with = [](bool tied) {
    Model model = Model::open(golden_model("llama.v0.bin"));
    const Weight embedding = *model.find("token_embd.weight");
    const auto size = static_cast<size_t>(embedding.rows * embedding.columns);
    Weight q80 = embedding;
    q80.dtype = PERDURE_Q80;
    q80.group_size = embedding.columns;
    if (!tied)
      model.replace("output.weight", embedding.rows, embedding.columns, std::vector<float>(size));
    model.replace("token_embd.weight", q80, std::vector<std::byte>(size),
                  std::vector<float>(static_cast<size_t>(embedding.rows), 1.0f));
    return Engine(golden_settings("llama.v0.bin", {"kernels.activations=q8"}), linked_plugins(),
                  std::make_shared<SharedModel>(std::move(model)));
  };
  CHECK_THROWS_WITH_AS(engine_with(false), doctest::Contains("no quantised weights to multiply"),
                       UsageError);
  CHECK_NOTHROW(engine_with(true));  // the embedding is the classifier
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
