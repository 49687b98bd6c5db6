// SPDX-License-Identifier: Apache-2.0

// One panel of a line chart: axes, bands, lines, markers. line_chart.cpp puts panels together.
#pragma once

#include <string>

#include "apps/perdure/report/axes.hpp"

namespace perdure::report {

// Draws into the area and around it: tick texts to the left, tick texts and axis title below,
// labels of marks above. `clip_id` is unique on the page.
void draw_panel(Markup& shapes, const Panel& panel, const PlotArea& area,
                const std::string& clip_id);

}  // namespace perdure::report
