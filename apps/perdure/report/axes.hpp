// SPDX-License-Identifier: Apache-2.0

// Around the lines of a panel: ranges, ticks, titles of axes, labelled vertical marks.
#pragma once

#include "apps/perdure/report/line_chart.hpp"

namespace perdure::report {

// The rectangle between the axes, in pixels.
struct PlotArea {
  double left = 0, top = 0, right = 0, bottom = 0;
};

struct Scales {
  Scale x, y;
};

// True if a scale has a place for the value.
bool has_place(double value, ScaleKind kind);
// True for what was measured and lies above the range, or is no number.
bool lies_above(const ChartPoint& point, const Scale& y);

// The range of y: the axis' own, or what the points and their intervals need.
Range value_range(const Panel& panel);
// Of both axes, with a little room at the edges of the area.
Scales scales_of(const Panel& panel, const PlotArea& area);

// Grid lines, tick texts beside the area, and below it the axis' title.
void draw_axis_at_left(Markup& shapes, const Axis& axis, const Scale& y, const PlotArea& area);
void draw_axis_below(Markup& shapes, const Axis& axis, const Scale& x, const PlotArea& area);

// The panel's marks with their labels above the area, in as many rows as they need; and how high
// these rows are.
void draw_marks(Markup& shapes, const Panel& panel, const PlotArea& area);
double mark_labels_height(const Panel& panel, const PlotArea& area);

}  // namespace perdure::report
