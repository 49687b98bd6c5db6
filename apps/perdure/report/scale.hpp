// SPDX-License-Identifier: Apache-2.0

// From values to places on a picture: linear and logarithmic scales and their ticks.
#pragma once

#include <vector>

namespace perdure::report {

enum class ScaleKind { kLinear, kLog2, kLog10 };

struct Range {
  double low = 0, high = 1;
};

// Maps `range` to the pixels `from` to `to`; values outside map to pixels outside. On logarithmic
// scales what is not above 0 counts as the smallest positive number.
struct Scale {
  ScaleKind kind = ScaleKind::kLinear;
  Range range;
  double from = 0, to = 1;

  double operator()(double value) const;
};

// A range that is not empty: where low and high are equal, room is made on both sides.
Range widened(Range range, ScaleKind kind);

// Round values within the range, ascending, at most about `max_count`: 1, 2 or 5 times a power of
// ten (kLinear), powers of two (kLog2), powers of ten and, where there are few of them, 2 and 5
// times those (kLog10). Requires: range.low < range.high, above 0 on logarithmic scales.
std::vector<double> ticks(ScaleKind kind, Range range, int max_count);

// The range up to the next ticks on both sides, for linear scales.
Range rounded_out(Range range, int max_count);

}  // namespace perdure::report
