// SPDX-License-Identifier: Apache-2.0

// Quality against what it costs: one point per entry and length, and the front of those that no
// other point beats in both.
#pragma once

#include <string>
#include <vector>

#include "apps/perdure/report/comparison_view.hpp"
#include "apps/perdure/report/line_chart.hpp"

namespace perdure::report {

struct ParetoFigure {
  std::string name, title;  // of the file, of the picture
  LineFigure figure;
};

// Against the bytes of a session's state and against the time per token, where the comparison has
// these and a main measure without second axis, and where costs differ. Pure.
std::vector<ParetoFigure> pareto_figures(const ComparisonView& view);

// Of points by ascending x, those with no other point at most as far right and better in y, or as
// good and further left. Pure.
std::vector<ChartPoint> pareto_front(const std::vector<ChartPoint>& points, bool lower_is_better);

}  // namespace perdure::report
