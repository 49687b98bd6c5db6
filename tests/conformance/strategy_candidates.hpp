// SPDX-License-Identifier: Apache-2.0

// The strategies, configured, that the conformance suite holds to the contract of
// AttentionStrategy. A new strategy joins with a line.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/parallel_proof.hpp"
#include "tests/conformance/recurrent_proof.hpp"
#include "tests/conformance/window_proof.hpp"
#include "tests/support/engine_fixture.hpp"

namespace perdure::testing {

struct Candidate {
  const char* name;
  const char* model;      // of the golden set
  const char* attention;  // the configuration's `attention`
  // Where the strategy does something new: its segment or window.
  size_t edge;
  bool constant_memory;
  int64_t segment_length;
};

inline const std::vector<Candidate>& candidates() {
  static const std::vector<Candidate> all{
      {"full", "llama.v0.bin", "{strategy: full}", 8, false, 0},
      {"full, quantised", "llama.v2.bin", "{strategy: full}", 8, false, 0},
      {"full, window and tail", "llama.v0.bin",
       "{strategy: full, window: 6, full_tail: 5, eval_length: 30}", 6, false, 0},
      {"full, positions", "llama.v0.bin",
       "{strategy: full, rope_scaling: linear, factor: 3, log_n: true, train_length: 8, xpos: 32, "
       "max_length: 2000, key_norm: true}",
       8, false, 0},
      {"sliding_window", "llama.v0.bin", "{strategy: sliding_window, window: 5, sinks: 2}", 7, true,
       0},
      {"sliding_window, no sinks", "llama.v0.bin", "{strategy: sliding_window, window: 7}", 7, true,
       0},
      {"sliding_window, reindexed", "llama.v0.bin",
       "{strategy: sliding_window, window: 5, sinks: 2, positions: reindexed}", 7, true, 0},
      {"memory", "memA.q80.bin", "{strategy: memory}", 8, true, 8},
      {"memory, grouped queries", "memB_gqa.q80.bin", "{strategy: memory}", 6, true, 6},
      {"memory, by token", "memA.q80.bin", "{strategy: memory, update: token}", 8, true, 1},
      {"memory, never", "memA.q80.bin", "{strategy: memory, update: never}", 8, true, 8},
      {"memory, blended", "memA.q80.bin",
       "{strategy: memory, ema: 0.6, ema_every: 16, initial: zero}", 16, true, 8},
      {"memory, positions", "memA.q80.bin",
       "{strategy: memory, rope_scaling: linear, factor: 2, log_n: true, log_n_clamp: false, "
       "xpos: 16, key_norm: true}",
       8, true, 8},
      {"memory, of a plain model", "llama.v0.bin", "{strategy: memory, mem_len: 4, initial: zero}",
       4, true, 4},
      {"memory and full", "memA.q80.bin", "{strategy: memory, layers: {'1': {strategy: full}}}", 8,
       false, 8},
      {"memory and window", "memA.q80.bin",
       "{strategy: memory, layers: {'0,2': {strategy: sliding_window, window: 5, sinks: 1}}}", 8,
       true, 8},
      {"chunk_lstm", "pt_lstm.safetensors", "{strategy: chunk_lstm}", 8, true, 8},
      {"an encoder beside", "llama.v0.bin", "{strategy: parallel_proof}", 8, false, 0},
      {"whole windows", "llama.v0.bin", "{strategy: window_proof, window: 9}", 9, true, 0},
      {"the proof", "llama.v0.bin", "{strategy: recurrent_proof}", kProofSegment, true,
       kProofSegment},
  };
  return all;
}

inline std::vector<StaticPlugin> plugins_with_proofs() {
  std::vector<StaticPlugin> plugins(linked_plugins().begin(), linked_plugins().end());
  for (const StaticPlugin& proof :
       {recurrent_proof_plugin(), parallel_proof_plugin(), window_proof_plugin()})
    plugins.push_back(proof);
  return plugins;
}

inline std::unique_ptr<Engine> make_engine(const Candidate& candidate,
                                           std::vector<std::string> overrides = {}) {
  static const std::vector<StaticPlugin> plugins = plugins_with_proofs();
  overrides.insert(overrides.begin(), std::string("attention=") + candidate.attention);
  return std::make_unique<Engine>(golden_settings(candidate.model, std::move(overrides)), plugins);
}

}  // namespace perdure::testing
