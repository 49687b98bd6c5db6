// SPDX-License-Identifier: Apache-2.0

#include "core/engine/ensemble.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/api/error.hpp"

namespace perdure {
namespace {

template <class T>
double log_sum_exp(std::span<const T> values) {
  const double largest = *std::ranges::max_element(values);
  double sum = 0;
  for (const T x : values) sum += std::exp(static_cast<double>(x) - largest);
  return largest + std::log(sum);
}

}  // namespace

std::vector<double> ensemble_log_weights(size_t n_passages, const EnsembleWeights& weights) {
  if (n_passages == 0) throw UsageError("an ensemble needs at least one passage");
  std::vector<double> scores = weights.scores;
  if (scores.empty()) scores.assign(n_passages, 0.0);
  if (scores.size() != n_passages)
    throw UsageError("an ensemble of " + std::to_string(n_passages) + " passages was given " +
                     std::to_string(scores.size()) + " scores; give one per passage, or none");
  if (!(weights.temperature > 0) || !std::isfinite(weights.temperature))
    throw UsageError("the temperature of an ensemble is " + std::to_string(weights.temperature) +
                     "; it must be above 0");
  for (double& score : scores) {
    score /= weights.temperature;
    if (!std::isfinite(score)) throw UsageError("a score of an ensemble is not finite");
  }
  const double sum = log_sum_exp(std::span<const double>(scores));
  for (double& score : scores) score -= sum;
  return scores;
}

void mix_logits(std::span<const std::span<const float>> rows, std::span<const double> log_weights,
                std::span<float> out) {
  std::vector<double> offsets(log_weights.begin(), log_weights.end());
  for (size_t k = 0; k < rows.size(); ++k) offsets[k] -= log_sum_exp(rows[k]);
  std::vector<double> terms(rows.size());
  for (size_t i = 0; i < out.size(); ++i) {
    for (size_t k = 0; k < rows.size(); ++k) terms[k] = offsets[k] + rows[k][i];
    out[i] = static_cast<float>(log_sum_exp(std::span<const double>(terms)));
  }
}

Ensemble::Ensemble(Engine& engine, std::span<const std::vector<int32_t>> passages,
                   const EnsembleWeights& weights)
    : engine_(engine), log_weights_(ensemble_log_weights(passages.size(), weights)) {
  for (size_t k = 0; k < passages.size(); ++k) sessions_.push_back(engine.new_session());
  read_passages(passages);
}

// The sessions end apart: what each expects is copied as it comes.
void Ensemble::read_passages(std::span<const std::vector<int32_t>> passages) {
  logits_.resize(sessions_.size() * static_cast<size_t>(engine_.spec().info.vocab_size));
  std::vector<Feed> feeds;
  for (size_t k = 0; k < passages.size(); ++k)
    if (!passages[k].empty()) feeds.push_back({&sessions_[k], passages[k], Feed::Logits::kLast});
  engine_.feed(feeds, [&](size_t feed, size_t, std::span<const float> row) {
    const auto k = static_cast<size_t>(feeds[feed].session - sessions_.data());
    std::ranges::copy(row, logits(k, 1, 0).begin());
  });
  if (feeds.size() == passages.size()) mix(1, 0);
}

// Tokens whose logits of all sessions are kept together.
size_t Ensemble::block_size() const {
  const int64_t row = engine_.spec().info.vocab_size * static_cast<int64_t>(sizeof(float));
  return static_cast<size_t>(std::max<int64_t>(kMixtureBytes / (row * std::ssize(sessions_)), 1));
}

bool Ensemble::feed(std::span<const int32_t> tokens, size_t n_mixed, const MixtureSink& sink,
                    const std::function<bool()>& keep_going) {
  const size_t first = tokens.size() - n_mixed;
  if (!feed_all(tokens.first(first), Feed::Logits::kNone, keep_going)) return false;
  for (size_t done = 0, n = 0; done < n_mixed; done += n) {
    n = std::min(block_size(), n_mixed - done);
    if (!feed_all(tokens.subspan(first + done, n), Feed::Logits::kAll, keep_going)) return false;
    for (size_t i = 0; i < n; ++i) {
      mix(n, i);
      if (sink) sink(first + done + i, last_);
    }
  }
  return true;
}

bool Ensemble::feed_all(std::span<const int32_t> tokens, Feed::Logits which,
                        const std::function<bool()>& keep_going) {
  std::vector<Feed> feeds;
  for (Session& session : sessions_) feeds.push_back({&session, tokens, which});
  if (which != Feed::Logits::kNone)
    logits_.resize(sessions_.size() * tokens.size() *
                   static_cast<size_t>(engine_.spec().info.vocab_size));
  const auto keep = [&](size_t k, size_t token, std::span<const float> row) {
    std::ranges::copy(row, logits(k, tokens.size(), token).begin());
  };
  return std::ranges::all_of(engine_.feed(feeds, keep, keep_going),
                             [&](size_t n_read) { return n_read == tokens.size(); });
}

std::span<float> Ensemble::logits(size_t k, size_t n_tokens, size_t token) {
  const auto width = static_cast<size_t>(engine_.spec().info.vocab_size);
  return std::span(logits_).subspan((k * n_tokens + token) * width, width);
}

void Ensemble::mix(size_t n_tokens, size_t token) {
  std::vector<std::span<const float>> rows;
  for (size_t k = 0; k < sessions_.size(); ++k) rows.push_back(logits(k, n_tokens, token));
  last_.resize(static_cast<size_t>(engine_.spec().info.vocab_size));
  mix_logits(rows, log_weights_, last_);
}

int64_t Ensemble::state_bytes() const {
  int64_t n = 0;
  for (const Session& session : sessions_) n += session.state_bytes();
  return n;
}

}  // namespace perdure
