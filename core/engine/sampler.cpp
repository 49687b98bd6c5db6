// SPDX-License-Identifier: Apache-2.0

// Implements core/engine/sampler.hpp. All arithmetic is F32 in llama2.c's order, so that equal
// logits and seeds give equal texts.
#include "core/engine/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace perdure {
namespace {

void apply_repeat_penalty(std::span<float> logits, double penalty,
                          std::span<const int32_t> recent) {
  if (penalty == 1.0) return;
  const float divisor = static_cast<float>(penalty);
  for (size_t i = 0; i < recent.size(); ++i) {
    const auto earlier = recent.first(i);
    if (std::find(earlier.begin(), earlier.end(), recent[i]) != earlier.end()) continue;
    float& x = logits[static_cast<size_t>(recent[i])];
    x = x > 0 ? x / divisor : x * divisor;
  }
}

void apply_penalties(std::span<float> logits, const SamplingOptions& options,
                     std::span<const TokenCount> counts) {
  if (!options.counts_tokens()) return;
  const auto presence = static_cast<float>(options.presence_penalty);
  const auto frequency = static_cast<float>(options.frequency_penalty);
  for (const TokenCount& c : counts)
    logits[static_cast<size_t>(c.token)] -= presence + frequency * c.count;
}

// The largest logit, lowest id on ties; 0 if all are NaN. Several running maxima side by side
// become vector instructions; a comparison with NaN is false and keeps what was there.
int32_t argmax(std::span<const float> logits) {
  constexpr size_t kLanes = 16;
  float lanes[kLanes];
  std::fill(lanes, lanes + kLanes, -std::numeric_limits<float>::infinity());
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes)
    for (size_t j = 0; j < kLanes; ++j)
      lanes[j] = logits[i + j] > lanes[j] ? logits[i + j] : lanes[j];
  float largest = *std::max_element(lanes, lanes + kLanes);
  for (; i < logits.size(); ++i) largest = logits[i] > largest ? logits[i] : largest;
  const auto first = std::find(logits.begin(), logits.end(), largest);
  return first == logits.end() ? 0 : static_cast<int32_t>(first - logits.begin());
}

// Logits to probabilities in place, NaN to 0. `best` is the argmax and not NaN.
void softmax(std::span<float> x, float temperature, int32_t best) {
  const float largest = x[static_cast<size_t>(best)];
  const float scaled = largest / temperature;
  // Division first is the original's rounding; where it overflows, the difference comes first.
  const bool overflows = std::isinf(scaled);
  float sum = 0;
  for (float& v : x) {
    if (std::isnan(v)) {
      v = 0;
    } else if (v == largest) {
      v = 1;
    } else {
      v = std::exp(overflows ? (v - largest) / temperature : v / temperature - scaled);
    }
    sum += v;
  }
  for (float& v : x) v /= sum;
}

bool cuts_mass(const SamplingOptions& o) {
  const float top_p = static_cast<float>(o.top_p);
  return top_p > 0.0f && top_p < 1.0f;
}

bool cuts_ranks(const SamplingOptions& o) { return o.top_k > 0 || o.min_p > 0.0; }

// Without cuts the order makes no difference.
bool cuts_before_temperature(const SamplingOptions& o) {
  return o.temperature_last && (cuts_mass(o) || cuts_ranks(o));
}

// The first id whose cumulated probability exceeds coin; rounding may leave a gap at the end, it
// belongs to `last`.
int32_t draw(std::span<const float> probabilities, float coin, int32_t last) {
  float cdf = 0;
  for (size_t i = 0; i < probabilities.size(); ++i) {
    cdf += probabilities[i];
    if (coin < cdf) return static_cast<int32_t>(i);
  }
  return last;
}

}  // namespace

uint32_t RandomState::next_u32() {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return static_cast<uint32_t>((state * 0x2545F4914F6CDD1Dull) >> 32);
}

float RandomState::next_f32() { return static_cast<float>(next_u32() >> 8) / 16777216.0f; }

// SplitMix64 (Steele, Lea, Flood 2014): its outputs for successive inputs are all different.
RandomState random_of_session(uint64_t seed, uint64_t number) {
  if (number == 0) return {seed};
  uint64_t z = seed + number * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  z ^= z >> 31;
  return {z != 0 ? z : seed};  // 0 would stay 0 for ever
}

Sampler::Sampler(int64_t vocab_size) { candidates_.reserve(static_cast<size_t>(vocab_size) + 1); }

int32_t Sampler::sample(std::span<float> logits, const SamplingOptions& options,
                        std::span<const int32_t> recent, RandomState& random,
                        std::span<const TokenCount> counts) {
  apply_repeat_penalty(logits, options.repeat_penalty, recent);
  apply_penalties(logits, options, counts);
  const int32_t best = argmax(logits);
  if (options.temperature == 0.0) return best;
  const float coin = random.next_f32();
  const float temperature = static_cast<float>(options.temperature);
  if (temperature == 0.0f || std::isnan(logits[static_cast<size_t>(best)])) return best;

  size_t last = logits.size() - 1;
  while (std::isnan(logits[last])) --last;
  if (cuts_before_temperature(options)) {
    softmax(logits, 1.0f, best);
    keep_before_temperature(logits, options, best);
    return candidates_.empty() ? best : draw_before(candidates_.size(), coin * mass());
  }
  if (cuts_ranks(options)) {
    keep_best_ranks(logits, options, temperature, best);
    return candidates_.empty() ? best : draw_ranked(options, coin);
  }
  softmax(logits, temperature, best);
  if (!cuts_mass(options)) return draw(logits, coin, static_cast<int32_t>(last));
  const float top_p = static_cast<float>(options.top_p);
  keep_likely(logits, top_p);
  return candidates_.empty() ? best : draw_likely(top_p, coin);
}

bool Sampler::is_better(const Candidate& a, const Candidate& b) {
  return a.value != b.value ? a.value > b.value : a.id < b.id;
}

// Tokens below (1 - top_p) / (n - 1) cannot be needed to reach top_p. Not sorted yet.
void Sampler::keep_likely(std::span<const float> probabilities, float top_p) {
  const float lowest = (1.0f - top_p) / static_cast<float>(probabilities.size() - 1);
  candidates_.clear();
  for (size_t i = 0; i < probabilities.size(); ++i)
    if (probabilities[i] >= lowest && probabilities[i] > 0)
      candidates_.push_back({probabilities[i], static_cast<int32_t>(i)});
}

// Brings the best candidates to the front, in order, until their mass exceeds the limit: how many.
// Stretches that grow are sorted one after the other, so that a few likely tokens among many cost
// no sort of all.
size_t Sampler::sort_up_to(float limit, float& mass) {
  size_t count = 0;
  for (size_t stretch = 64; count < candidates_.size(); stretch *= 4) {
    const auto first = candidates_.begin() + static_cast<std::ptrdiff_t>(count);
    const size_t n = std::min(stretch, candidates_.size() - count);
    const auto end = first + static_cast<std::ptrdiff_t>(n);
    if (end != candidates_.end()) std::nth_element(first, end, candidates_.end(), is_better);
    std::sort(first, end, is_better);
    for (const size_t sorted = count + n; count < sorted;) {
      mass += candidates_[count++].value;
      if (mass > limit) return count;
    }
  }
  return count;
}

// The best top_k logits that reach min_p, as weights relative to the best one. What follows does
// not depend on a common factor, so the exponentials of all other tokens are never computed.
void Sampler::keep_best_ranks(std::span<const float> logits, const SamplingOptions& options,
                              float temperature, int32_t best) {
  const float largest = logits[static_cast<size_t>(best)];
  const auto weight = [&](float v) {
    return v == largest ? 1.0f : std::exp((v - largest) / temperature);
  };
  const size_t k = options.top_k > 0 ? static_cast<size_t>(options.top_k) : logits.size();
  const auto min_p = static_cast<float>(options.min_p);
  float lowest = -std::numeric_limits<float>::infinity();  // what a newcomer must exceed
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > lowest) || (min_p > 0 && weight(logits[i]) < min_p)) continue;
    candidates_.push_back({logits[i], static_cast<int32_t>(i)});
    if (k == logits.size()) continue;
    std::push_heap(candidates_.begin(), candidates_.end(), is_better);
    if (candidates_.size() <= k) continue;
    std::pop_heap(candidates_.begin(), candidates_.end(), is_better);
    candidates_.pop_back();
    lowest = candidates_.front().value;
  }
  std::sort(candidates_.begin(), candidates_.end(), is_better);
  for (Candidate& c : candidates_) c.value = weight(c.value);
  while (!candidates_.empty() && !(candidates_.back().value > 0)) candidates_.pop_back();
}

// As RWKV's programs cut: the probability at which the sum reaches top_p, and all that are as
// likely; of these top_k, and those that reach min_p. What is left gets its weight at the
// temperature, relative to the best token's.
void Sampler::keep_before_temperature(std::span<const float> probabilities,
                                      const SamplingOptions& options, int32_t best) {
  const float largest = probabilities[static_cast<size_t>(best)];
  float lowest = static_cast<float>(options.min_p) * largest;
  if (cuts_mass(options)) {
    const float top_p = static_cast<float>(options.top_p);
    float mass = 0;
    keep_likely(probabilities, top_p);
    // The sum that reaches top_p ends it here, as one that exceeds the number below does.
    const size_t count = sort_up_to(std::nextafter(top_p, 0.0f), mass);
    // None is left where even the best one is less likely than what cannot be needed.
    lowest = std::max(lowest, count > 0 ? candidates_[count - 1].value : largest);
  }
  candidates_.clear();
  for (size_t i = 0; i < probabilities.size(); ++i)
    if (probabilities[i] >= lowest && probabilities[i] > 0)
      candidates_.push_back({probabilities[i], static_cast<int32_t>(i)});
  if (options.top_k > 0 && static_cast<size_t>(options.top_k) < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + options.top_k, candidates_.end(),
                     is_better);
    candidates_.resize(static_cast<size_t>(options.top_k));
  }
  std::sort(candidates_.begin(), candidates_.end(), is_better);
  const float power = 1.0f / static_cast<float>(options.temperature);
  for (Candidate& c : candidates_) c.value = std::pow(c.value / largest, power);
}

float Sampler::mass() const {
  float sum = 0;
  for (const Candidate& c : candidates_) sum += c.value;
  return sum;
}

// The first of the first `count` candidates whose cumulated value exceeds r.
int32_t Sampler::draw_before(size_t count, float r) const {
  float cdf = 0;
  for (size_t i = 0; i < count; ++i) {
    cdf += candidates_[i].value;
    if (r < cdf) return candidates_[i].id;
  }
  return candidates_[count - 1].id;
}

// Of probabilities, the first ones that together exceed top_p.
int32_t Sampler::draw_likely(float top_p, float coin) {
  float mass = 0;
  const size_t count = sort_up_to(top_p, mass);
  return draw_before(count, coin * mass);
}

// Of sorted weights, the first ones that together exceed top_p of them all.
int32_t Sampler::draw_ranked(const SamplingOptions& options, float coin) const {
  const float limit = static_cast<float>(options.top_p) * mass();
  float kept = 0;
  size_t count = 0;
  while (count < candidates_.size()) {
    kept += candidates_[count++].value;
    if (cuts_mass(options) && kept > limit) break;
  }
  return draw_before(count, coin * kept);
}

}  // namespace perdure
