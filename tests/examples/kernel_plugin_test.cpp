// SPDX-License-Identifier: Apache-2.0

// The kernel plugin of examples/, as a foreign library: in the suite of all kernels, and at work in
// a model.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/engine_fixture.hpp"
#include "tests/support/kernel_suite.hpp"

using namespace perdure;
using namespace perdure::testing;

TEST_CASE("the example's kernels pass the suite of all kernels") {
  const std::string paths[] = {EXAMPLE_PLUGIN};
  const PluginHost host({}, paths);
  bool found = false;
  for (const auto& set : host.kernel_sets()) {
    if (set.plugin != "mine") continue;
    found = true;
    const perdure_kernel_plugin plugin = {sizeof plugin, PERDURE_KERNEL_ABI,
                                          static_cast<uint32_t>(set.kernels.size()),
                                          set.kernels.data()};
    test::check_kernel_plugin(&plugin);
  }
  CHECK(found);
}

TEST_CASE("a model computes its norms with the example's kernel when it is preferred") {
  const std::string load = std::string("plugins.load=[") + EXAMPLE_PLUGIN + "]";
  for (const char* file : {"llama.v0.bin", "memA.q80.bin"}) {
    Engine scalar(golden_settings(file), linked_plugins());
    Engine mine(golden_settings(file, {load, "kernels.prefer=[mine]"}), linked_plugins());
    CHECK(mine.describe_plan("step").find("rms_norm_f32_mine") != std::string::npos);
    const auto tokens = random_tokens(40, scalar.spec().info.vocab_size, 3);
    Session a = scalar.new_session(), b = mine.new_session();
    const auto expected = all_logits(scalar, a, tokens), got = all_logits(mine, b, tokens);
    REQUIRE(got.size() == expected.size());
    for (size_t i = 0; i < got.size(); ++i) REQUIRE(std::fabs(got[i] - expected[i]) < 1e-3f);
  }
}
