// SPDX-License-Identifier: Apache-2.0

// Engines on the golden models, as tests want them: `scalar`, one thread, unless told otherwise.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "core/engine/engine.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::testing {

inline std::string golden_model(const std::string& file) {
  return std::string(PERDURE_SOURCE_DIR) + "/tests/golden/llama2rnn/models/" + file;
}

// Settings for a golden model; `overrides` as on the command line, later ones win.
inline Settings golden_settings(const std::string& file, std::vector<std::string> overrides = {}) {
  std::vector<std::string> all{"model.path=" + golden_model(file), "kernels.prefer=[scalar]",
                               "threads.backend=serial", "threads.count=1"};
  all.insert(all.end(), overrides.begin(), overrides.end());
  return load_settings("", all);
}

// `n` token ids below `vocab_size`, the same for the same seed.
inline std::vector<int32_t> random_tokens(size_t n, int64_t vocab_size, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<int32_t> tokens(n);
  for (auto& t : tokens) t = static_cast<int32_t>(generator() % static_cast<uint32_t>(vocab_size));
  return tokens;
}

// Logits of every token, [n, vocab_size], read by one call.
inline std::vector<float> all_logits(Engine& engine, Session& session,
                                     std::span<const int32_t> tokens) {
  std::vector<float> result;
  const Feed one[] = {{&session, tokens, Feed::Logits::kAll}};
  engine.feed(one, [&](size_t, size_t, std::span<const float> l) {
    result.insert(result.end(), l.begin(), l.end());
  });
  return result;
}

// The same, read token by token.
inline std::vector<float> logits_token_by_token(Engine& engine, Session& session,
                                                std::span<const int32_t> tokens) {
  std::vector<float> result, last(static_cast<size_t>(engine.spec().info.vocab_size));
  for (size_t i = 0; i < tokens.size(); ++i) {
    engine.feed(session, tokens.subspan(i, 1), last);
    result.insert(result.end(), last.begin(), last.end());
  }
  return result;
}

}  // namespace perdure::testing
