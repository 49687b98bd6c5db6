// SPDX-License-Identifier: Apache-2.0

#include "core/eval/figures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace perdure {
namespace {

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

constexpr double kNormal975 = 1.959963984540054;

}  // namespace

double student_t_975(int64_t degrees_of_freedom) {
  static constexpr std::array kTable{
      12.706204736174698, 4.302652729749464, 3.182446305283710, 2.776445105197799,
      2.570581835636315,  2.446911851144969, 2.364624251592784, 2.306004135204166,
      2.262157162798205,  2.228138851986273, 2.200985160091640, 2.178812829667228,
      2.160368656462792,  2.144786687917804, 2.131449545559774, 2.119905299221255,
      2.109815577833318,  2.100922040241039, 2.093024054408309, 2.085963447265864,
      2.079613844727681,  2.073873067904025, 2.068657610419049, 2.063898561628027,
      2.059538552753298,  2.055529438642872, 2.051830516480284, 2.048407141795245,
      2.045229642132703,  2.042272456301237};
  const auto n = static_cast<size_t>(degrees_of_freedom);
  if (n <= kTable.size()) return kTable[n - 1];
  // Cornish-Fisher expansion in 1 / n (Abramowitz and Stegun 26.7.5), 1e-5 from n = 31 on.
  const double z = kNormal975, z2 = z * z, v = static_cast<double>(degrees_of_freedom);
  const double g1 = z * (z2 + 1) / 4;
  const double g2 = z * ((5 * z2 + 16) * z2 + 3) / 96;
  const double g3 = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
  return z + (g1 + (g2 + g3 / v) / v) / v;
}

Interval mean_interval(std::span<const double> samples) {
  const double mean = mean_of(samples);
  if (samples.size() < 2) return {mean, mean, mean};
  double squares = 0;
  for (const double v : samples) squares += (v - mean) * (v - mean);
  const auto n = static_cast<double>(samples.size());
  const double half = student_t_975(std::ssize(samples) - 1) * std::sqrt(squares / (n - 1) / n);
  return {mean, mean - half, mean + half};
}

Interval share_interval(std::span<const double> samples) {
  const double share = mean_of(samples);
  if (std::isnan(share)) return {share, share, share};  // max and min would make it [0, 1]
  const auto n = static_cast<double>(samples.size());
  const double z2 = kNormal975 * kNormal975;
  const double middle = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double half =
      kNormal975 / (1 + z2 / n) * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  return {share, std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

Interval figure_interval(const FigureInfo& figure, std::span<const double> samples) {
  if (figure.summary == Summary::kShare) return share_interval(samples);
  const Interval mean = mean_interval(samples);
  if (figure.summary == Summary::kMean) return mean;
  return {std::exp(mean.value), std::exp(mean.low), std::exp(mean.high)};
}

Interval paired_difference(std::span<const double> samples, std::span<const double> baseline) {
  std::vector<double> differences;
  for (size_t i = 0; i < samples.size(); ++i) differences.push_back(samples[i] - baseline[i]);
  return mean_interval(differences);
}

}  // namespace perdure
