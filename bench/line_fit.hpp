// SPDX-License-Identifier: Apache-2.0

// A straight line through measured points, and how sure its slope is.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "core/eval/figures.hpp"

namespace perdure::bench {

struct LineFit {
  double mean = 0;            // of the values
  double slope = 0;           // of the values over the places
  double slope_interval = 0;  // half of the 95 % interval around it
};

// Least squares, Student's t. Requires: equally many, at least three, places not all the same.
inline LineFit fit_line(std::span<const double> places, std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  double mean_x = 0, mean_y = 0;
  for (const double x : places) mean_x += x / n;
  for (const double y : values) mean_y += y / n;
  double sxx = 0, sxy = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    sxx += (places[i] - mean_x) * (places[i] - mean_x);
    sxy += (places[i] - mean_x) * (values[i] - mean_y);
  }
  const double slope = sxy / sxx;
  double residual = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double e = values[i] - mean_y - slope * (places[i] - mean_x);
    residual += e * e;
  }
  const double t = student_t_975(static_cast<int64_t>(values.size()) - 2);
  return {mean_y, slope, t * std::sqrt(residual / (n - 2) / sxx)};
}

}  // namespace perdure::bench
