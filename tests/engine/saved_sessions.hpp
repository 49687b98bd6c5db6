// SPDX-License-Identifier: Apache-2.0

// What the tests of saved sessions share: engines, sessions that have read something, and the
// reason why one is refused.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/support/engine_fixture.hpp"

namespace perdure::testing {

using Bytes = std::vector<std::byte>;
using Overrides = std::vector<std::string>;

inline constexpr const char* kModel = "memA.q80.bin";
inline constexpr size_t kSavedAt = 29;

inline Engine make_engine(const Overrides& overrides = {}, const char* model = kModel) {
  return Engine(golden_settings(model, overrides), linked_plugins());
}

inline Session advanced(Engine& engine, size_t n_tokens, uint32_t seed = 1) {
  Session session = engine.new_session();
  all_logits(engine, session, random_tokens(n_tokens, engine.spec().info.vocab_size, seed));
  return session;
}

inline std::string refusal(Session& session, std::span<const std::byte> snapshot) {
  try {
    session.restore(snapshot);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace perdure::testing
