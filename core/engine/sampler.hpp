// SPDX-License-Identifier: Apache-2.0

// From logits to the next token. With top_k 0, min_p 0, no penalties and temperature first this is
// llama2.c's sampler exactly: generator, order of draws, cut-offs (specification of llama2Rnn,
// section 6). With temperature last it cuts and penalises as RWKV's programs do (specification of
// RWKV, section 12.3).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/engine/token_counts.hpp"

namespace perdure {

struct SamplingOptions {
  double temperature = 0.8;  // 0: the largest logit, lowest id on ties
  int64_t top_k = 40;        // 0: off
  double top_p = 0.95;       // outside (0, 1): off
  double min_p = 0.0;        // 0: off; drops tokens below min_p x the largest probability
  double repeat_penalty =
      1.0;  // 1: off; divides positive and multiplies negative logits of recent tokens
  // What the cuts see are probabilities at temperature 1; those that are left are drawn at
  // `temperature`. top_p comes first, then top_k and min_p.
  bool temperature_last = false;
  double presence_penalty = 0.0;   // 0: off; taken from the logits of tokens that were counted
  double frequency_penalty = 0.0;  // 0: off; the same, times the count
  double penalty_decay = 0.996;    // what counts are multiplied by with every token written

  bool counts_tokens() const { return presence_penalty != 0.0 || frequency_penalty != 0.0; }
};

// xorshift64*; its state is part of a session.
struct RandomState {
  uint64_t state = 1;
  uint32_t next_u32();
  float next_f32();  // [0, 1), 24 bits
};

// Where the `number`-th session (from 0) of a run starts: the first at `seed` itself, the others at
// well mixed numbers that depend on both. Requires: seed != 0.
RandomState random_of_session(uint64_t seed, uint64_t number);

// Owns scratch of vocab_size entries; allocates nothing after construction. One thread.
class Sampler {
 public:
  explicit Sampler(int64_t vocab_size);

  // logits [vocab_size] are overwritten. `recent`: token ids the repeat penalty applies to;
  // `counts`: those of the other penalties. Draws exactly one number from `random` unless
  // temperature is 0. NaN logits are never chosen; all-NaN gives id 0. Unless temperature is last,
  // min_p and top_k cut first, top_p then counts the mass they left. Requires: ids of `recent` and
  // `counts` below vocab_size, temperature >= 0.
  int32_t sample(std::span<float> logits, const SamplingOptions& options,
                 std::span<const int32_t> recent, RandomState& random,
                 std::span<const TokenCount> counts = {});

 private:
  struct Candidate {
    float value;  // probability, or a weight relative to the best token's
    int32_t id;
  };

  static bool is_better(const Candidate& a, const Candidate& b);
  void keep_likely(std::span<const float> probabilities, float top_p);
  void keep_best_ranks(std::span<const float> logits, const SamplingOptions& options,
                       float temperature, int32_t best);
  void keep_before_temperature(std::span<const float> probabilities, const SamplingOptions& options,
                               int32_t best);
  size_t sort_up_to(float limit, float& mass);
  float mass() const;
  int32_t draw_likely(float top_p, float coin);
  int32_t draw_ranked(const SamplingOptions& options, float coin) const;
  int32_t draw_before(size_t count, float r) const;

  std::vector<Candidate> candidates_;
};

}  // namespace perdure
