// SPDX-License-Identifier: Apache-2.0

// Rotation frequencies [head_size / 2], a formula each: those of the original programs
// (specification of llama2Rnn, sections 2 and 4; F32 throughout) and those of Hugging Face's
// `rope_scaling`. `factor` is by how much longer a text is than those the model was trained on.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

namespace perdure {

// theta^(-2i / head_size) for i = 0 .. head_size/2 - 1, F32 throughout.
inline std::vector<float> rope_frequencies(int64_t head_size, double theta) {
  std::vector<float> f(static_cast<size_t>(head_size / 2));
  for (int64_t i = 0; i < head_size / 2; ++i)
    f[i] = 1.0f / std::pow(static_cast<float>(theta),
                           static_cast<float>(2 * i) / static_cast<float>(head_size));
  return f;
}

// The base of NTK-aware scaling: the lowest frequency is divided by `factor`, the highest stays.
inline double ntk_theta(double theta, double factor, int64_t head_size) {
  const auto n = static_cast<double>(head_size);
  return theta * std::pow(factor, n / (n - 2));
}

// The "mixed" form of NTK-aware scaling: frequency i is divided by factor^(((i + 1) / n)^0.75),
// n = head_size / 2.
inline std::vector<float> ntk_mixed_frequencies(int64_t head_size, double theta, double factor) {
  std::vector<float> f = rope_frequencies(head_size, theta);
  const double a = std::log(factor) / std::pow(static_cast<double>(f.size()), 0.75);
  for (size_t i = 0; i < f.size(); ++i)
    f[i] *= static_cast<float>(std::exp(-a * std::pow(static_cast<double>(i + 1), 0.75)));
  return f;
}

// What the forms that treat slow and fast frequencies differently need to know.
struct FrequencyBands {
  double trained_length = 0;  // places in the model's training
  double fast = 0, slow = 0;  // turns within these from and to which there is a passage
};

// YaRN, "NTK-by-parts" (Peng et al. 2023, arXiv 2309.00071, equations 17 to 20, and the rounding of
// the authors' program): a frequency that turns more than `fast` times in training stays, one that
// turns less than `slow` times is divided by `factor`, with a linear passage over the index
// between. `truncate`: the bounds of the passage are whole indices, as in the authors' program.
inline std::vector<float> yarn_frequencies(int64_t head_size, double theta, double factor,
                                           const FrequencyBands& bands, bool truncate) {
  const auto n = static_cast<double>(head_size);
  const auto index_of = [&](double turns) {
    return n * std::log(bands.trained_length / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(theta));
  };
  const double from = index_of(bands.fast), to = index_of(bands.slow);
  const double first = std::max(0.0, truncate ? std::floor(from) : from);
  const double last = std::min(n - 1, truncate ? std::ceil(to) : to);
  const double width = std::max(last - first, 0.001);
  std::vector<float> f;
  for (int64_t i = 0; i < head_size / 2; ++i) {
    const double whole = std::pow(theta, -2.0 * static_cast<double>(i) / n);
    const double passage = std::clamp((static_cast<double>(i) - first) / width, 0.0, 1.0);
    f.push_back(static_cast<float>(whole * (1 - passage) + whole / factor * passage));
  }
  return f;
}

// YaRN's temperature (equation 22) as a factor of both queries and keys.
inline double yarn_attention_factor(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1;
}

// Llama 3.1: as YaRN, with the passage linear over the number of turns.
inline std::vector<float> llama3_frequencies(int64_t head_size, double theta, double factor,
                                             const FrequencyBands& bands) {
  std::vector<float> f;
  for (int64_t i = 0; i < head_size / 2; ++i) {
    const double whole =
        std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_size));
    const double turns = bands.trained_length * whole / (2 * std::numbers::pi);
    const double stays = std::clamp((turns - bands.slow) / (bands.fast - bands.slow), 0.0, 1.0);
    f.push_back(static_cast<float>(whole * stays + whole / factor * (1 - stays)));
  }
  return f;
}

// LongRoPE (Ding et al. 2024, arXiv 2402.13753): every frequency has a divisor of its own, found by
// search. Requires: divisors [head_size / 2].
inline std::vector<float> longrope_frequencies(int64_t head_size, double theta,
                                               const std::vector<double>& divisors) {
  std::vector<float> f;
  for (int64_t i = 0; i < head_size / 2; ++i)
    f.push_back(static_cast<float>(
        std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_size)) /
        divisors[static_cast<size_t>(i)]));
  return f;
}

// Hugging Face's default temperature of LongRoPE, a factor of both queries and keys.
inline double longrope_attention_factor(double factor, double trained_length) {
  return factor <= 1 ? 1.0 : std::sqrt(1 + std::log(factor) / std::log(trained_length));
}

// The base of dynamic NTK scaling for a text of `length` tokens, `length` > trained_length.
inline double dynamic_ntk_theta(double theta, double factor, double length, double trained_length,
                                int64_t head_size) {
  return ntk_theta(theta, factor * length / trained_length - (factor - 1), head_size);
}

}  // namespace perdure
