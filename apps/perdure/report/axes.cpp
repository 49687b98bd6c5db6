// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/axes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "apps/perdure/report/quantity.hpp"

namespace perdure::report {
namespace {

constexpr double kFontSize = 12;
constexpr double kLabelHeight = 15;

template <class Visit>
void for_each_point(const Panel& panel, Visit visit) {
  for (const Series& series : panel.series)
    for (const ChartPoint& point : series.points) visit(point);
}

Range x_range(const Panel& panel) {
  if (panel.x.range) return *panel.x.range;
  Range range = {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  const auto include = [&](double x) {
    if (!has_place(x, panel.x.kind)) return;
    range = {std::min(range.low, x), std::max(range.high, x)};
  };
  for_each_point(panel, [&](const ChartPoint& point) { include(point.x); });
  for (const VerticalMark& mark : panel.marks) include(mark.x);
  if (range.low > range.high) range = {1, 2};
  return widened(range, panel.x.kind);
}

std::vector<double> ticks_of(const Axis& axis, Range range, int max_count) {
  return axis.ticks.empty() ? ticks(axis.kind, range, max_count) : axis.ticks;
}

// What the last digit of tick texts has to tell apart.
double step_of(const std::vector<double>& ticks, size_t i, ScaleKind kind) {
  if (kind != ScaleKind::kLinear) return ticks[i] >= 1 ? 1 : ticks[i];
  return ticks.size() > 1 ? ticks[1] - ticks[0] : std::abs(ticks[i]) / 10;
}

}  // namespace

bool has_place(double value, ScaleKind kind) {
  return std::isfinite(value) && (kind == ScaleKind::kLinear || value > 0);
}

bool lies_above(const ChartPoint& point, const Scale& y) {
  return point.measured && !(point.y <= y.range.high * (1 + 1e-12));
}

Range value_range(const Panel& panel) {
  if (panel.y.range) return *panel.y.range;
  Range range = {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for_each_point(panel, [&](const ChartPoint& point) {
    for (const double y : {point.y, point.low, point.high})
      if (has_place(y, panel.y.kind)) range = {std::min(range.low, y), std::max(range.high, y)};
  });
  if (range.low > range.high) return {1, 2};
  return widened(range, panel.y.kind);
}

Scales scales_of(const Panel& panel, const PlotArea& area) {
  constexpr double kRoom = 14;  // markers and arrows keep clear of the frame
  return {{panel.x.kind, x_range(panel), area.left + kRoom, area.right - kRoom},
          {panel.y.kind, value_range(panel), area.bottom - kRoom, area.top + kRoom}};
}

void draw_axis_at_left(Markup& shapes, const Axis& axis, const Scale& y, const PlotArea& area) {
  const std::vector<double> all = ticks_of(axis, y.range, 6);
  for (size_t i = 0; i < all.size(); ++i) {
    draw_rule(shapes, area.left, y(all[i]), area.right, y(all[i]), "grid");
    draw_text(shapes, area.left - 7, y(all[i]) + 4,
              tick_text(all[i], step_of(all, i, axis.kind), axis.unit), "tick", "end");
  }
}

void draw_axis_below(Markup& shapes, const Axis& axis, const Scale& x, const PlotArea& area) {
  const std::vector<double> all = ticks_of(axis, x.range, 8);
  double free_from = -1e9;
  for (size_t i = 0; i < all.size(); ++i) {
    const double place = x(all[i]);
    draw_rule(shapes, place, area.top, place, area.bottom, "grid");
    const std::string words = tick_text(all[i], step_of(all, i, axis.kind), axis.unit);
    const double half = text_width(words, kFontSize) / 2;
    if (place - half < free_from) continue;
    free_from = place + half + 6;
    draw_text(shapes, place, area.bottom + 17, words, "tick", "middle");
  }
  draw_rule(shapes, area.left, area.bottom, area.right, area.bottom, "axis");
  draw_text(shapes, (area.left + area.right) / 2, area.bottom + 36, axis.title, "soft", "middle");
}

namespace {

struct PlacedLabel {
  const VerticalMark* mark;
  double x, middle;
  size_t row;
};

std::vector<PlacedLabel> placed_labels(const Panel& panel, const PlotArea& area) {
  const Scale x = scales_of(panel, area).x;
  std::vector<double> row_ends;
  std::vector<PlacedLabel> placed;
  std::vector<const VerticalMark*> marks;
  for (const VerticalMark& mark : panel.marks) marks.push_back(&mark);
  std::sort(marks.begin(), marks.end(), [](auto* a, auto* b) { return a->x < b->x; });
  for (const VerticalMark* mark : marks) {
    const double half = text_width(mark->label, kFontSize) / 2;
    const double middle =
        std::clamp(x(mark->x), area.left + half, std::max(area.right - half, area.left + half));
    size_t row = 0;
    while (row < row_ends.size() && middle - half < row_ends[row]) ++row;
    if (row == row_ends.size()) row_ends.push_back(0);
    row_ends[row] = middle + half + 8;
    placed.push_back({mark, x(mark->x), middle, row});
  }
  return placed;
}

}  // namespace

void draw_marks(Markup& shapes, const Panel& panel, const PlotArea& area) {
  for (const PlacedLabel& label : placed_labels(panel, area)) {
    shapes.open("g", {{"class", "mark"}});
    if (!label.mark->hover.empty()) shapes.element("title", {}, label.mark->hover);
    const double bottom = area.top - 5 - static_cast<double>(label.row) * kLabelHeight;
    draw_rule(shapes, label.x, bottom + 3, label.x, area.bottom, "dashed");
    draw_text(shapes, label.middle, bottom, label.mark->label, "", "middle");
    shapes.close();
  }
}

double mark_labels_height(const Panel& panel, const PlotArea& area) {
  size_t rows = 0;
  for (const PlacedLabel& label : placed_labels(panel, area)) rows = std::max(rows, label.row + 1);
  return static_cast<double>(rows) * kLabelHeight;
}

}  // namespace perdure::report
