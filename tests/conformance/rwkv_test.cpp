// SPDX-License-Identifier: Apache-2.0

// What a session of an RWKV model begins with. The strategy is held to everything else by the
// suites that it joins in strategy_candidates.hpp, its numbers by the golden set.
#include <doctest/doctest.h>

#include "core/model/architectures/rwkv.hpp"
#include "core/model/formats/safetensors.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace perdure;
using namespace perdure::testing;

namespace {

Settings settings_of(const std::string& model) {
  return golden_settings("../../rwkv/" + model + "/model.safetensors");
}

}  // namespace

TEST_CASE("a session of RWKV 4 begins with no exponent, and a saved one goes on from it") {
  Engine engine(settings_of("rand_v4"), linked_plugins());
  Session session = engine.new_session();
  CHECK(session.read_state("blk.1.wkv", 0, 2) == std::vector<float>(64, 0.0f));
  CHECK(session.read_state("blk.1.wkv", 2, 1) == std::vector<float>(32, -1e30f));
  Session restored = engine.new_session();
  restored.restore(session.snapshot());
  const auto tokens = random_tokens(9, engine.spec().info.vocab_size, 1);
  CHECK(all_logits(engine, restored, tokens) == all_logits(engine, session, tokens));
}

TEST_CASE("a tuned state is what every session of RWKV 6 begins with") {
  const SafetensorsFile original(golden_model("../../rwkv/rand_v6/model.safetensors"));
  RwkvFile file{.path = "m", .format = "a test"};
  for (const auto& [name, tensor] : original.tensors())
    file.tensors[name] = {tensor.shape, {.data = tensor.bytes.data()}};
  std::vector<float> state(3 * 16 * 16);
  for (size_t i = 0; i < state.size(); ++i) state[i] = static_cast<float>(i % 7) - 3.0f;
  for (const char* layer : {"blocks.0.", "blocks.1."})
    file.tensors[std::string(layer) + "att.time_state"] = {{3, 16, 16}, {.data = state.data()}};
  Engine tuned(settings_of("rand_v6"), linked_plugins(), rwkv_model(file));
  Engine plain(settings_of("rand_v6"), linked_plugins());
  Session session = tuned.new_session(), zero = plain.new_session();
  const auto start = session.read_state("blk.1.wkv", 0, 48);
  CHECK(start[(16 + 3) * 16 + 5] == state[(16 + 5) * 16 + 3]);
  CHECK(zero.read_state("blk.1.wkv", 0, 48) == std::vector<float>(48 * 16, 0.0f));
  const auto tokens = random_tokens(5, tuned.spec().info.vocab_size, 1);
  // The same as a session whose state is set to it.
  for (const char* name : {"blk.0.wkv", "blk.1.wkv"}) zero.write_state(name, 0, start);
  CHECK(all_logits(tuned, session, tokens) == all_logits(plain, zero, tokens));
}
