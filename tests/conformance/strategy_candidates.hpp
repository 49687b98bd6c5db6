// SPDX-License-Identifier: Apache-2.0

// The strategies, configured, that the conformance suite holds to the contract of
// AttentionStrategy. A new strategy joins with a line.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/kept_proof.hpp"
#include "tests/conformance/parallel_proof.hpp"
#include "tests/conformance/prompt_proof.hpp"
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
  bool forgetful = false;  // most tokens leave no trace
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
      {"full, window and sinks", "llama.v0.bin", "{strategy: full, window: 6, sinks: 2}", 8, false,
       0},
      {"full, ntk", "llama.v0.bin",
       "{strategy: full, rope_scaling: ntk, eval_length: 30, train_length: 8}", 8, false, 0},
      {"full, ntk_mixed and tail", "llama.v0.bin",
       "{strategy: full, rope_scaling: ntk_mixed, eval_length: 30, train_length: 8, window: 8, "
       "full_tail: 4, log_n: true}",
       8, false, 0},
      {"full, radix", "llama.v0.bin", "{strategy: full, rope_scaling: radix, factor: 4}", 8, false,
       0},
      {"full, yarn", "llama.v0.bin",
       "{strategy: full, rope_scaling: yarn, factor: 4, train_length: 96}", 8, false, 0},
      {"full, llama3", "llama.v0.bin",
       "{strategy: full, rope_scaling: llama3, factor: 8, original_max_position_embeddings: 64}", 8,
       false, 0},
      {"full, dynamic", "llama.v0.bin",
       "{strategy: full, rope_scaling: dynamic, train_length: 4, max_length: 600, log_n: true}", 4,
       false, 0},
      {"full, dynamic in a window", "llama.v0.bin",
       "{strategy: full, rope_scaling: {rope_type: dynamic, factor: 2}, train_length: 6, window: "
       "5, "
       "sinks: 1, max_length: 600, key_norm: true}",
       6, false, 0},
      {"full, longrope", "llama.v0.bin",
       "{strategy: full, rope_scaling: longrope, short_factor: [1, 1, 1.1, 1.2, 1.3, 1.4, 1.5, "
       "1.6],"
       " long_factor: [1, 1.5, 2, 3, 4, 6, 8, 8], original_max_position_embeddings: 8, max_length: "
       "600}",
       8, false, 0},
      {"full, clamped", "llama.v0.bin",
       "{strategy: full, distances: clamped, train_length: 8, log_n: true, key_norm: true}", 8,
       false, 0},
      {"full, clamped with xpos", "llama.v0.bin",
       "{strategy: full, distances: clamped, near: 6, xpos: 64, max_length: 1000}", 8, false, 0},
      {"full, grouped", "llama.v0.bin",
       "{strategy: full, distances: grouped, near: 4, eval_length: 30, train_length: 8, window: 8, "
       "full_tail: 4, log_n: true}",
       8, false, 0},
      {"full, grouped from the first key", "llama.v0.bin",
       "{strategy: full, distances: grouped, near: 0, eval_length: 30, train_length: 8}", 8, false,
       0},
      {"full, grouped by hand", "llama.v0.bin",
       "{strategy: full, distances: grouped, near: 5, group: 3}", 5, false, 0},
      {"full, without positions", "llama.v0.bin", "{strategy: full, positions: none}", 8, false, 0},
      {"full, layers without positions", "llama.v0.bin",
       "{strategy: full, layers: {'1': {strategy: full, positions: none, log_n: true, "
       "train_length: "
       "8}}}",
       8, false, 0},
      {"full, wrapped", "llama.v0.bin", "{strategy: full, positions: wrapped, train_length: 8}", 8,
       false, 0},
      {"full, clipped", "llama.v0.bin",
       "{strategy: full, positions: clipped, train_length: 8, eval_length: 32}", 8, false, 0},
      {"full, sums without signs", "llama.v0.bin",
       "{strategy: full, sum_cis: true, freqs_abs: true}", 8, false, 0},
      {"full, places beside the input", "att_concatpe.safetensors",
       "{strategy: full, concat_pe: true, train_length: 32}", 8, false, 0},
      {"sliding_window", "llama.v0.bin", "{strategy: sliding_window, window: 5, sinks: 2}", 7, true,
       0},
      {"sliding_window, no sinks", "llama.v0.bin", "{strategy: sliding_window, window: 7}", 7, true,
       0},
      {"sliding_window, reindexed", "llama.v0.bin",
       "{strategy: sliding_window, window: 5, sinks: 2, positions: reindexed}", 7, true, 0},
      {"sliding_window, clamped", "llama.v0.bin",
       "{strategy: sliding_window, window: 5, sinks: 2, distances: clamped, near: 5}", 7, true, 0},
      {"sliding_window, grouped", "llama.v0.bin",
       "{strategy: sliding_window, window: 9, sinks: 2, distances: grouped, near: 3, group: 2}", 9,
       true, 0},
      {"sliding_window, without positions", "llama.v0.bin",
       "{strategy: sliding_window, window: 5, positions: none, key_norm: true}", 5, true, 0},
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
      {"memory, yarn", "memA.q80.bin",
       "{strategy: memory, rope_scaling: yarn, factor: 2, train_length: 16}", 8, true, 8},
      {"memory, of a plain model", "llama.v0.bin", "{strategy: memory, mem_len: 4, initial: zero}",
       4, true, 4},
      {"memory and full", "memA.q80.bin", "{strategy: memory, layers: {'1': {strategy: full}}}", 8,
       false, 8},
      {"memory and window", "memA.q80.bin",
       "{strategy: memory, layers: {'0,2': {strategy: sliding_window, window: 5, sinks: 1}}}", 8,
       true, 8},
      {"chunk_lstm", "pt_lstm.safetensors", "{strategy: chunk_lstm}", 8, true, 8},
      {"rwkv 4", "../../rwkv/rand_v4/model.safetensors", "{strategy: rwkv}", 8, true, 0},
      {"rwkv 5.0", "../../rwkv/rand_v5.0/model.safetensors", "{strategy: rwkv}", 8, true, 0},
      {"rwkv 5.2", "../../rwkv/rand_v5.2/model.safetensors", "{strategy: rwkv}", 8, true, 0},
      {"rwkv 6", "../../rwkv/rand_v6/model.safetensors", "{strategy: rwkv}", 8, true, 0},
      {"rwkv 7", "../../rwkv/rand_v7/model.safetensors", "{strategy: rwkv, group_norm_eps: 1e-5}",
       8, true, 0},
      {"microrwkv", "../../microrwkv/bias_crop/model.safetensors", "{strategy: microrwkv}", 48,
       true, 0},
      {"microrwkv, causal", "../../microrwkv/small/model.safetensors", "{strategy: rwkv}", 256,
       true, 0},
      {"recurrent_memory", "../../rmt/hf_wrapper_llama/model.safetensors",
       "{strategy: recurrent_memory}", 6, true, 6},
      {"recurrent_memory, untrained", "llama.v0.bin",
       "{strategy: recurrent_memory, num_mem_tokens: 2, segment_size: 5, initial: untrained}", 5,
       true, 5},
      {"recurrent_memory, a network", "../../rmt/defaults_xl/model.safetensors",
       "{strategy: recurrent_memory}", 12, true, 12},
      {"recurrent_memory, a network that rotates", "../../rmt/rotary_xl_short/model.safetensors",
       "{strategy: recurrent_memory, segment_size: 7, padding: true}", 7, true, 7},
      {"recurrent_memory, a network without kept keys", "../../rmt/abs_rotary_xl/model.safetensors",
       "{strategy: recurrent_memory, xl_memories: false}", 12, true, 12},
      {"recurrent_memory, a network without memory at first",
       "../../rmt/add_write_noread/model.safetensors", "{strategy: recurrent_memory}", 12, true,
       12},
      {"recurrent_memory, a network that sees slots",
       "../../rmt/memcausal_flash_xl/model.safetensors", "{strategy: recurrent_memory}", 12, true,
       12},
      {"parallel_encoding", "../../cepe/cepe_base", "{strategy: parallel_encoding, cross: cached}",
       8, false, 0},
      {"parallel_encoding, absorbed", "../../cepe/cepe_gqa_partial",
       "{strategy: parallel_encoding, cross: absorbed}", 8, false, 0},
      {"parallel_encoding and window", "../../cepe/cepe_gqa_partial",
       "{strategy: parallel_encoding, layers: {'0': {strategy: sliding_window, window: 5}}}", 8,
       false, 0},
      {"bidirectional", "../../cepe/mlm_encoder", "{strategy: bidirectional}", 32, true, 0},
      {"an encoder beside", "llama.v0.bin", "{strategy: parallel_proof}", 8, false, 0},
      {"a prompt's end", "llama.v0.bin", "{strategy: prompt_proof}", 5, true, 0},
      {"whole windows", "llama.v0.bin", "{strategy: window_proof, window: 9}", 9, true, 0},
      {"a key per block", "llama.v0.bin", "{strategy: block_proof}", 2 * kProofBlock, true, 0,
       true},
      {"counted keys", "llama.v0.bin", "{strategy: counted_proof}", 8, true, 0, true},
      {"the proof", "llama.v0.bin", "{strategy: recurrent_proof}", kProofSegment, true,
       kProofSegment},
  };
  return all;
}

inline std::vector<StaticPlugin> plugins_with_proofs() {
  std::vector<StaticPlugin> plugins(linked_plugins().begin(), linked_plugins().end());
  for (const StaticPlugin& proof :
       {recurrent_proof_plugin(), parallel_proof_plugin(), window_proof_plugin(),
        prompt_proof_plugin(), block_proof_plugin(), counted_proof_plugin()})
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
