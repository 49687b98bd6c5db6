// SPDX-License-Identifier: Apache-2.0

// One panel of a line chart: axes, bands, lines, markers. line_chart.cpp puts panels together.
#pragma once

#include <string>

#include "apps/perdure/report/line_chart.hpp"

namespace perdure::report {

// The rectangle between the axes, in pixels.
struct PlotArea {
  double left = 0, top = 0, right = 0, bottom = 0;
};

// Rows of labels of vertical marks that fit without touching: the height they need above the plot.
double mark_labels_height(const Panel& panel, const PlotArea& area);

// Draws into the area and around it: tick texts to the left, tick texts and axis title below,
// labels of marks above. `clip_id` is unique on the page.
void draw_panel(Markup& shapes, const Panel& panel, const PlotArea& area,
                const std::string& clip_id);

}  // namespace perdure::report
