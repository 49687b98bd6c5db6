// SPDX-License-Identifier: Apache-2.0

#include "core/engine/shared_model.hpp"

#include <doctest/doctest.h>

#include "core/model/weights_hash.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

constexpr const char* kModel = "llama.v0.bin";

// Kernels that pack.
Settings settings_with(const char* attention) {
  return golden_settings(kModel, {"kernels.prefer=[simd]", attention});
}

std::vector<float> logits_of(Engine& engine) {
  Session session = engine.new_session();
  return all_logits(engine, session, random_tokens(40, engine.spec().info.vocab_size, 5));
}

}  // namespace

TEST_CASE("engines of one opened model pack its weights once and give what they give alone") {
  const Settings full = settings_with("attention.strategy=full");
  const Settings window = settings_with("attention={strategy: sliding_window, window: 8}");
  const auto model = SharedModel::open(golden_model(kModel));
  Engine first(full, linked_plugins(), model);
  const size_t packed_bytes = model->packed_bytes();
  CHECK(packed_bytes > 0);
  Engine second(window, linked_plugins(), model);
  CHECK(model->packed_bytes() == packed_bytes);
  CHECK(&first.model() == &second.model());
  Engine alone(window, linked_plugins());
  CHECK(logits_of(second) == logits_of(alone));
  Engine other(full, linked_plugins());
  CHECK(logits_of(first) == logits_of(other));
}

TEST_CASE("engines of one opened model hash its weights once") {
  const Settings settings = settings_with("attention.strategy=full");
  const auto model = SharedModel::open(golden_model(kModel));
  Engine first(settings, linked_plugins(), model), second(settings, linked_plugins(), model);
  const int64_t before = hashes_computed();
  CHECK(first.identity() == second.identity());
  CHECK(hashes_computed() == before + 1);
}

TEST_CASE("an engine works on after the one that opened its model is destroyed") {
  const Settings settings = settings_with("attention.strategy=full");
  auto first = std::make_unique<Engine>(settings, linked_plugins());
  const std::vector<float> expected = logits_of(*first);
  Engine second(settings, linked_plugins(), first->shared_model());
  first.reset();
  CHECK(logits_of(second) == expected);
}
