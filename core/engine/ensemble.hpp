// SPDX-License-Identifier: Apache-2.0

// RePlug (Shi and others 2023): one text behind each of several passages, every one in a session of
// its own, and the mixture of what the sessions expect next:
//   log p(x) = log sum_k w_k p_k(x),  w = softmax(scores / temperature).
// Any model and strategy. The sessions pass through the same steps; numbers do not depend on how
// many there are or on the threads.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/engine/engine.hpp"

namespace perdure {

struct EnsembleWeights {
  std::vector<double> scores;  // one per passage; empty: all alike
  double temperature = 1.0;    // above 0; larger makes weights more alike
};

// Receives the mixture after one token: [vocab_size] log-probabilities, valid during the call.
using MixtureSink = std::function<void(size_t token, std::span<const float> log_probabilities)>;

// Borrows the engine. One thread.
class Ensemble {
 public:
  // Reads the passages; an empty one is the text alone. Errors: UsageError for no passage, scores
  // that are not as many as passages or not finite, or a temperature that is not above 0; Error as
  // Engine::feed.
  Ensemble(Engine& engine, std::span<const std::vector<int32_t>> passages,
           const EnsembleWeights& weights);

  // Each session reads the tokens behind what it has read. `sink`, if given, gets the mixture after
  // each of the last `n_mixed` tokens, in order. Memory: at most kMixtureBytes of logits, or those
  // of one token of every session. `keep_going` as in Engine::feed; if it says false, so does
  // feed(), and the ensemble is of no use afterwards. Errors: as Engine::feed, likewise.
  // Requires: n_mixed <= tokens.size().
  bool feed(std::span<const int32_t> tokens, size_t n_mixed, const MixtureSink& sink = {},
            const std::function<bool()>& keep_going = {});

  // The mixture after the last token that was mixed; passages are, so it is empty only if one of
  // them is.
  std::span<const float> last() const { return last_; }
  // Bytes of the states of all sessions together.
  int64_t state_bytes() const;
  // The session of a passage, to ask where it is. Requires: number below that of passages.
  Session& session(size_t number) { return sessions_[number]; }

 private:
  void read_passages(std::span<const std::vector<int32_t>> passages);
  size_t block_size() const;
  bool feed_all(std::span<const int32_t> tokens, Feed::Logits which,
                const std::function<bool()>& keep_going);
  // What session `k` expects after token `token` of the running block of `n_tokens`.
  std::span<float> logits(size_t k, size_t n_tokens, size_t token);
  void mix(size_t n_tokens, size_t token);

  Engine& engine_;
  std::vector<Session> sessions_;
  std::vector<double> log_weights_;
  std::vector<float> logits_;  // [session, token of the block, vocabulary]
  std::vector<float> last_;
};

inline constexpr int64_t kMixtureBytes = int64_t{64} << 20;

// Mixes rows of logits, [rows, vocab_size], into log-probabilities; sums in the order of rows, in
// double. Requires: as many rows as log_weights; out [vocab_size].
void mix_logits(std::span<const std::span<const float>> rows, std::span<const double> log_weights,
                std::span<float> out);

// Logarithms of softmax(scores / temperature). Errors: as the constructor of Ensemble.
std::vector<double> ensemble_log_weights(size_t n_passages, const EnsembleWeights& weights);

}  // namespace perdure
