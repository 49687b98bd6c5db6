// SPDX-License-Identifier: Apache-2.0

// Which measures share a picture.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/perdure/report/comparison_view.hpp"

namespace perdure::report {

enum class PictureKind {
  kOverLength,  // lines over the length of the context
  kAlongAxis,   // lines along the second axis, at the longest length
  kGrid,        // shares over length and second axis: heat maps
  kMixed,       // kOverLength and kAlongAxis as panels of one picture: speeds
};

struct MeasureGroup {
  std::string name;  // "loss", "speed", "ram": fit for a file name
  PictureKind kind = PictureKind::kOverLength;
  std::vector<int64_t> measures;
  std::string shared_title;  // empty: the title of the first measure
};

// Measures that have figures, in groups, in the order of their first members.
std::vector<MeasureGroup> measure_groups(const ComparisonView& view);

}  // namespace perdure::report
