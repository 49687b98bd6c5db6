// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/scale.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace perdure::report {
namespace {

double position(ScaleKind kind, double value) {
  if (kind == ScaleKind::kLinear) return value;
  return std::log2(std::max(value, std::numeric_limits<double>::min()));
}

// 1, 2 or 5 times a power of ten, so that `length` holds at most max_count of it.
double round_step(double length, int max_count) {
  const double least = length / std::max(max_count, 1);
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= least * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

std::vector<double> linear_ticks(Range range, int max_count) {
  const double step = round_step(range.high - range.low, max_count);
  std::vector<double> result;
  const double last = std::floor(range.high / step + 1e-9);
  for (double i = std::ceil(range.low / step - 1e-9); i <= last; ++i) result.push_back(i * step);
  return result;
}

// Every `stride`-th power of the base.
std::vector<double> power_ticks(double base, Range range, int max_count) {
  const double scale = std::log2(base);
  const auto first = static_cast<int>(std::ceil(std::log2(range.low) / scale - 1e-9));
  const auto last = static_cast<int>(std::floor(std::log2(range.high) / scale + 1e-9));
  const int stride = std::max(1, (last - first) / std::max(max_count, 1) + 1);
  std::vector<double> result;
  for (int i = first; i <= last; i += stride) result.push_back(std::pow(base, i));
  return result;
}

std::vector<double> log10_ticks(Range range, int max_count) {
  std::vector<double> result = power_ticks(10, range, max_count);
  if (result.size() > 2) return result;
  result.clear();
  const auto first = static_cast<int>(std::floor(std::log10(range.low)));
  const auto last = static_cast<int>(std::ceil(std::log10(range.high)));
  for (int power = first; power <= last; ++power)
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double tick = factor * std::pow(10.0, power);
      if (tick >= range.low * (1 - 1e-9) && tick <= range.high * (1 + 1e-9)) result.push_back(tick);
    }
  return result;
}

}  // namespace

double Scale::operator()(double value) const {
  const double low = position(kind, range.low);
  const double share = (position(kind, value) - low) / (position(kind, range.high) - low);
  return from + share * (to - from);
}

Range widened(Range range, ScaleKind kind) {
  if (range.low < range.high) return range;
  if (kind != ScaleKind::kLinear) return {range.low / 2, range.high * 2};
  const double room = range.low == 0 ? 1 : std::abs(range.low) * 0.1;
  return {range.low - room, range.high + room};
}

std::vector<double> ticks(ScaleKind kind, Range range, int max_count) {
  switch (kind) {
    case ScaleKind::kLog2:
      return power_ticks(2, range, max_count);
    case ScaleKind::kLog10:
      return log10_ticks(range, max_count);
    case ScaleKind::kLinear:
      break;
  }
  return linear_ticks(range, max_count);
}

Range rounded_out(Range range, int max_count) {
  const double step = round_step(range.high - range.low, max_count);
  return {std::floor(range.low / step + 1e-9) * step, std::ceil(range.high / step - 1e-9) * step};
}

}  // namespace perdure::report
