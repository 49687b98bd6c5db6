// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/panel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "apps/perdure/report/quantity.hpp"

namespace perdure::report {
namespace {

constexpr double kFontSize = 12;
constexpr double kLabelHeight = 15;
constexpr double kHoverRadius = 8;
// Beyond that many points per line a place to point at for each would only cover its neighbours'.
constexpr size_t kMostHoverPoints = 48;

struct Scales {
  Scale x, y;
};

template <class Visit>
void for_each_point(const Panel& panel, Visit visit) {
  for (const Series& series : panel.series)
    for (const ChartPoint& point : series.points) visit(point);
}

bool usable(double value, ScaleKind kind) {
  return std::isfinite(value) && (kind == ScaleKind::kLinear || value > 0);
}

Range x_range(const Panel& panel) {
  if (panel.x.range) return *panel.x.range;
  Range range = {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  const auto include = [&](double x) {
    if (!usable(x, panel.x.kind)) return;
    range = {std::min(range.low, x), std::max(range.high, x)};
  };
  for_each_point(panel, [&](const ChartPoint& point) { include(point.x); });
  for (const VerticalMark& mark : panel.marks) include(mark.x);
  if (range.low > range.high) range = {1, 2};
  return widened(range, panel.x.kind);
}

Range y_range(const Panel& panel) {
  if (panel.y.range) return *panel.y.range;
  Range range = {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for_each_point(panel, [&](const ChartPoint& point) {
    for (const double y : {point.y, point.low, point.high})
      if (usable(y, panel.y.kind)) range = {std::min(range.low, y), std::max(range.high, y)};
  });
  if (range.low > range.high) return {1, 2};
  return widened(range, panel.y.kind);
}

Scales scales_of(const Panel& panel, const PlotArea& area) {
  constexpr double kRoom = 14;  // markers and arrows keep clear of the frame
  return {{panel.x.kind, x_range(panel), area.left + kRoom, area.right - kRoom},
          {panel.y.kind, y_range(panel), area.bottom - kRoom, area.top + kRoom}};
}

std::vector<double> ticks_of(const Axis& axis, Range range, int max_count) {
  return axis.ticks.empty() ? ticks(axis.kind, range, max_count) : axis.ticks;
}

// What the last digit of tick texts has to tell apart.
double step_of(const std::vector<double>& ticks, size_t i, ScaleKind kind) {
  if (kind != ScaleKind::kLinear) return ticks[i] >= 1 ? 1 : ticks[i];
  return ticks.size() > 1 ? ticks[1] - ticks[0] : std::abs(ticks[i]) / 10;
}

void draw_y_axis(Markup& shapes, const Panel& panel, const PlotArea& area, const Scale& y) {
  const std::vector<double> all = ticks_of(panel.y, y.range, 6);
  for (size_t i = 0; i < all.size(); ++i) {
    draw_rule(shapes, area.left, y(all[i]), area.right, y(all[i]), "grid");
    draw_text(shapes, area.left - 7, y(all[i]) + 4,
              tick_text(all[i], step_of(all, i, panel.y.kind), panel.y.unit), "tick", "end");
  }
}

void draw_x_axis(Markup& shapes, const Panel& panel, const PlotArea& area, const Scale& x) {
  const std::vector<double> all = ticks_of(panel.x, x.range, 8);
  double free_from = -1e9;
  for (size_t i = 0; i < all.size(); ++i) {
    const double place = x(all[i]);
    draw_rule(shapes, place, area.top, place, area.bottom, "grid");
    const std::string words = tick_text(all[i], step_of(all, i, panel.x.kind), panel.x.unit);
    const double half = text_width(words, kFontSize) / 2;
    if (place - half < free_from) continue;
    free_from = place + half + 6;
    draw_text(shapes, place, area.bottom + 17, words, "tick", "middle");
  }
  draw_rule(shapes, area.left, area.bottom, area.right, area.bottom, "axis");
  draw_text(shapes, (area.left + area.right) / 2, area.bottom + 36, panel.x.title, "soft",
            "middle");
}

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

std::string place_text(double x, double y) { return px(x) + "," + px(y); }

// Steep lines end far outside; the clip path cuts them, but no drawing program likes 1e300 pixels.
double y_place(const Scale& y, const PlotArea& area, double value) {
  return std::clamp(y(value), area.top - 2000, area.bottom + 2000);
}

void draw_band(Markup& shapes, const Series& series, const PlotArea& area, const Scales& scales) {
  std::string upper, lower;
  for (const ChartPoint& point : series.points) {
    if (!std::isfinite(point.low) || !std::isfinite(point.high)) continue;
    const double x = scales.x(point.x);
    upper += (upper.empty() ? "M" : "L") + place_text(x, y_place(scales.y, area, point.high));
    lower.insert(0, "L" + place_text(x, y_place(scales.y, area, point.low)));
  }
  if (!upper.empty()) shapes.empty("path", {{"d", upper + lower + "Z"}, {"class", "band"}});
}

void draw_line(Markup& shapes, const Series& series, const PlotArea& area, const Scales& scales) {
  std::string path;
  bool pen_down = false;
  for (const ChartPoint& point : series.points) {
    const bool above = point.measured && (point.y == std::numeric_limits<double>::infinity());
    if (!std::isfinite(point.y) && !above) {
      pen_down = false;
      continue;
    }
    const double y = above ? area.top - 2000 : y_place(scales.y, area, point.y);
    path += (pen_down ? "L" : "M") + place_text(scales.x(point.x), y);
    pen_down = true;
  }
  if (!path.empty()) shapes.empty("path", {{"d", path}, {"class", "line"}});
}

bool lies_above(const ChartPoint& point, const Scale& y) {
  return point.measured && !(point.y <= y.range.high * (1 + 1e-12));
}

// Markers, and discs that nobody sees but that the pointer finds.
void draw_points(Markup& shapes, const Series& series, const Scales& scales) {
  const size_t stride = series.points.size() / kMostHoverPoints + 1;
  for (size_t i = 0; i < series.points.size(); i += stride) {
    const ChartPoint& point = series.points[i];
    if (!usable(point.y, scales.y.kind) || lies_above(point, scales.y)) continue;
    const double x = scales.x(point.x), y = scales.y(point.y);
    if (stride == 1) draw_marker(shapes, x, y, series.style);
    shapes.open("circle",
                {{"cx", px(x)}, {"cy", px(y)}, {"r", px(kHoverRadius)}, {"class", "hit"}});
    shapes.element("title", {}, point.hover).close();
  }
}

void draw_series(Markup& shapes, const Series& series, const PlotArea& area, const Scales& scales,
                 const std::string& clip_id) {
  shapes.open("g", {{"class", "series " + style_class(series.style)}});
  shapes.element("title", {}, series.name);
  shapes.open("g", {{"clip-path", "url(#" + clip_id + ")"}});
  if (series.style != kGrey) draw_band(shapes, series, area, scales);
  draw_line(shapes, series, area, scales);
  shapes.close();
  draw_points(shapes, series, scales);
  shapes.close();
}

// One arrow for all points above the picture at one x, which names them.
void draw_arrows(Markup& shapes, const Panel& panel, const PlotArea& area, const Scales& scales) {
  std::map<double, std::vector<const ChartPoint*>> above;
  for_each_point(panel, [&](const ChartPoint& point) {
    if (lies_above(point, scales.y)) above[point.x].push_back(&point);
  });
  for (const auto& [x, points] : above) {
    const double place = scales.x(x);
    shapes.open("g", {{"class", "arrow"}});
    std::string hover = "Above the picture:";
    for (const ChartPoint* point : points) hover += "\n" + point->hover;
    shapes.element("title", {}, hover);
    shapes.empty("path", {{"d", fmt::format("M{},{}l5.5,9h-11Z", px(place), px(area.top + 2))}});
    draw_text(shapes, place, area.top + 22, std::to_string(points.size()), "", "middle");
    shapes.close();
  }
}

}  // namespace

double mark_labels_height(const Panel& panel, const PlotArea& area) {
  size_t rows = 0;
  for (const PlacedLabel& label : placed_labels(panel, area)) rows = std::max(rows, label.row + 1);
  return static_cast<double>(rows) * kLabelHeight;
}

void draw_panel(Markup& shapes, const Panel& panel, const PlotArea& area,
                const std::string& clip_id) {
  const Scales scales = scales_of(panel, area);
  shapes.open("clipPath", {{"id", clip_id}});
  shapes.empty("rect", {{"x", px(area.left)},
                        {"y", px(area.top)},
                        {"width", px(area.right - area.left)},
                        {"height", px(area.bottom - area.top)}});
  shapes.close();
  draw_y_axis(shapes, panel, area, scales.y);
  draw_x_axis(shapes, panel, area, scales.x);
  draw_marks(shapes, panel, area);
  // The background first, and the first series, which matters most, last.
  for (const Series& series : panel.series)
    if (series.style == kGrey) draw_series(shapes, series, area, scales, clip_id);
  for (auto series = panel.series.rbegin(); series != panel.series.rend(); ++series)
    if (series->style != kGrey) draw_series(shapes, *series, area, scales, clip_id);
  draw_arrows(shapes, panel, area, scales);
}

}  // namespace perdure::report
