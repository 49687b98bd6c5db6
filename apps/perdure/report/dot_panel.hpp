// SPDX-License-Identifier: Apache-2.0

// A panel all of whose points have one x: a row per line, with its name, its value and its
// interval. line_chart.cpp chooses it where lines would be points above each other.
#pragma once

#include "apps/perdure/report/line_chart.hpp"

namespace perdure::report {

// True if there are points and all have the same x.
bool has_one_x(const Panel& panel);

// Requires: has_one_x(panel). Draws from `top` on and returns the y below it.
double draw_dot_panel(Markup& shapes, const Panel& panel, double top, double width);

}  // namespace perdure::report
