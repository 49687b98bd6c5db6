// SPDX-License-Identifier: Apache-2.0

// Line charts out of the cells of a comparison.
#pragma once

#include <string>
#include <vector>

#include "apps/perdure/report/comparison_view.hpp"
#include "apps/perdure/report/line_chart.hpp"
#include "apps/perdure/report/measure_groups.hpp"

namespace perdure::report {

// One panel per measure, and where a few entries run away from the others a close-up of the best.
// Requires: a group that is no grid.
LineFigure line_figure(const ComparisonView& view, const MeasureGroup& group);

// The sentence about entries that a picture cannot show.
std::string without_figures_note(const std::vector<std::string>& names);

}  // namespace perdure::report
