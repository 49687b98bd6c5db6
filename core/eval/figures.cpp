// SPDX-License-Identifier: Apache-2.0

#include "core/eval/figures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

namespace perdure {
namespace {

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double variance_of_mean(std::span<const double> samples) {
  const double mean = mean_of(samples);
  double squares = 0;
  for (const double v : samples) squares += (v - mean) * (v - mean);
  const auto n = static_cast<double>(samples.size());
  return squares / (n - 1) / n;
}

constexpr double kNormal975 = 1.959963984540054;

// The entry with the best finite mean, the first of equals.
std::optional<size_t> find_best(const FigureInfo& figure,
                                std::span<const std::span<const double>> entries) {
  std::optional<size_t> best;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].empty() || !std::isfinite(mean_of(entries[i]))) continue;
    const double mean = mean_of(entries[i]);
    if (!best || (figure.better == Better::kLower ? mean < mean_of(entries[*best])
                                                  : mean > mean_of(entries[*best])))
      best = i;
  }
  return best;
}

// Whether a test distinguishes the two. Bytes are exact; one sample of anything else says nothing.
bool differs(const FigureInfo& figure, bool deterministic, std::span<const double> a,
             std::span<const double> b) {
  if (figure.unit == "bytes") return mean_of(a) != mean_of(b);
  if (!std::isfinite(mean_of(a))) return true;
  if (a.size() < 2 || b.size() < 2) return false;
  const Interval difference =
      deterministic && a.size() == b.size() ? paired_difference(a, b) : unpaired_difference(a, b);
  return difference.low > 0 || difference.high < 0;
}

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
  const double half = student_t_975(std::ssize(samples) - 1) * std::sqrt(variance_of_mean(samples));
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
  Interval mean = mean_interval(samples);
  if (figure.summary == Summary::kExpOfMean)
    return {std::exp(mean.value), std::exp(mean.low), std::exp(mean.high)};
  if (mean.low < 0) mean.low = 0;
  if (figure.unit == "share" && mean.high > 1) mean.high = 1;
  return mean;
}

Interval paired_difference(std::span<const double> samples, std::span<const double> baseline) {
  std::vector<double> differences;
  for (size_t i = 0; i < samples.size(); ++i) differences.push_back(samples[i] - baseline[i]);
  return mean_interval(differences);
}

Interval unpaired_difference(std::span<const double> samples, std::span<const double> baseline) {
  const double difference = mean_of(samples) - mean_of(baseline);
  if (samples.size() < 2 || baseline.size() < 2) return {difference, -INFINITY, INFINITY};
  const double a = variance_of_mean(samples), b = variance_of_mean(baseline);
  if (a + b == 0) return {difference, difference, difference};
  const double n_a = static_cast<double>(samples.size() - 1);
  const double n_b = static_cast<double>(baseline.size() - 1);
  const double degrees = (a + b) * (a + b) / (a * a / n_a + b * b / n_b);
  const double half =
      student_t_975(std::max<int64_t>(1, static_cast<int64_t>(degrees))) * std::sqrt(a + b);
  return {difference, difference - half, difference + half};
}

std::vector<bool> best_of(const FigureInfo& figure, bool deterministic,
                          std::span<const std::span<const double>> entries) {
  std::vector<bool> marked(entries.size(), false);
  const std::optional<size_t> best = find_best(figure, entries);
  if (!best) return marked;
  size_t n_numbers = 0, n_marked = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].empty() || std::isnan(mean_of(entries[i]))) continue;
    marked[i] = !differs(figure, deterministic, entries[i], entries[*best]);
    ++n_numbers;
    n_marked += marked[i];
  }
  if (n_marked == n_numbers) marked.assign(marked.size(), false);
  return marked;
}

}  // namespace perdure
