// SPDX-License-Identifier: Apache-2.0

// MicroRWKV without a look ahead, against tests/golden/microrwkv_causal/make.py: past the window of
// 256 keys and past block_size, where places begin again. (perdure_golden runs the published way.)
#include <doctest/doctest.h>

#include <cmath>

#include "apps/perdure_golden/golden_set.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

// Of tests/golden/microrwkv/README.md, for short prompts.
constexpr double kTolerance = 1e-3;

const std::string kFolder = std::string(PERDURE_SOURCE_DIR) + "/tests/golden/";

std::unique_ptr<Engine> make_causal(std::vector<std::string> overrides) {
  overrides.push_back("attention={strategy: rwkv}");
  return std::make_unique<Engine>(
      golden_settings("../../microrwkv/small/model.safetensors", overrides), linked_plugins());
}

double worst(std::span<const float> a, std::span<const float> b) {
  double largest = a.size() == b.size() ? 0.0 : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    largest = std::max(largest, std::abs(double{a[i]} - b[i]));
  return largest;
}

}  // namespace

TEST_CASE("causal MicroRWKV has the logits of its definition, whole and token by token") {
  const auto golden = golden::read_tensors(kFolder + "microrwkv_causal/golden.safetensors");
  const std::vector<int32_t>& tokens = golden.at("tokens").integers;
  for (const char* kernels : {"kernels.prefer=[scalar]", "kernels.prefer=[simd]"}) {
    const auto engine = make_causal({kernels});
    Session whole = engine->new_session(), by_token = engine->new_session();
    const auto logits = all_logits(*engine, whole, tokens);
    CHECK(worst(logits, golden.at("logits").reals) < kTolerance);
    const auto one_by_one = logits_token_by_token(*engine, by_token, tokens);
    CHECK(worst(one_by_one, golden.at("logits").reals) < kTolerance);
  }
}

TEST_CASE("strategies that a MicroRWKV model cannot have are refused, and its own elsewhere") {
  CHECK_THROWS_AS(Engine(golden_settings("../../microrwkv/small/model.safetensors",
                                         {"attention={strategy: full}"}),
                         linked_plugins()),
                  Error);
  CHECK_THROWS_WITH_AS(Engine(golden_settings("llama.v0.bin", {"attention={strategy: microrwkv}"}),
                              linked_plugins()),
                       doctest::Contains("needs a MicroRWKV model"), UsageError);
}
