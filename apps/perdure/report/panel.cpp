// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/panel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "apps/perdure/report/axes.hpp"

namespace perdure::report {
namespace {

constexpr double kHoverRadius = 8;
// Beyond that many points per line a place to point at for each would only cover its neighbours'.
constexpr size_t kMostHoverPoints = 48;

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

// A bar with caps for every interval; the bars of one x stand beside each other.
void draw_bars(Markup& shapes, const Series& series, const PlotArea& area, const Scales& scales) {
  constexpr double kApart = 3, kCap = 3;
  const double shift = (series.style - (kStyles - 1) / 2.0) * kApart;
  std::string path;
  for (const ChartPoint& point : series.points) {
    if (!std::isfinite(point.low) || !std::isfinite(point.high)) continue;
    const double x = scales.x(point.x) + shift;
    const double high = y_place(scales.y, area, point.high);
    const double low = y_place(scales.y, area, point.low);
    path += fmt::format("M{0},{2}H{1}M{3},{2}V{4}M{0},{4}H{1}", px(x - kCap), px(x + kCap),
                        px(high), px(x), px(low));
  }
  if (!path.empty()) shapes.empty("path", {{"d", path}, {"class", "bar"}});
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
  const bool front = series.look == Series::Look::kFront;
  if (!path.empty()) shapes.empty("path", {{"d", path}, {"class", front ? "front" : "line"}});
}

// Markers, and discs that nobody sees but that the pointer finds. Of the points that lie on top or
// of the others.
void draw_points(Markup& shapes, const Series& series, const Scales& scales, bool on_top) {
  const size_t stride = series.points.size() / kMostHoverPoints + 1;
  for (size_t i = 0; i < series.points.size(); i += stride) {
    const ChartPoint& point = series.points[i];
    if (point.on_top != on_top) continue;
    if (!has_place(point.y, scales.y.kind) || lies_above(point, scales.y)) continue;
    const double x = scales.x(point.x), y = scales.y(point.y);
    const bool scattered = series.look == Series::Look::kPoints;
    const int style = scattered && series.style == kGrey ? 0 : series.style;
    if (stride == 1) draw_marker(shapes, x, y, style, scattered ? "hollow" : "marker");
    shapes.open("circle",
                {{"cx", px(x)}, {"cy", px(y)}, {"r", px(kHoverRadius)}, {"class", "hit"}});
    shapes.element("title", {}, point.hover).close();
  }
}

void draw_series(Markup& shapes, const Series& series, const PlotArea& area, const Scales& scales,
                 const std::string& clip_id, const Panel& panel) {
  shapes.open("g", {{"class", "series " + style_class(series.style)}});
  shapes.element("title", {}, series.name);
  shapes.open("g", {{"clip-path", "url(#" + clip_id + ")"}});
  if (panel.bands && series.style != kGrey)
    (panel.bars ? draw_bars : draw_band)(shapes, series, area, scales);
  if (series.look != Series::Look::kPoints) draw_line(shapes, series, area, scales);
  shapes.close();
  if (series.look != Series::Look::kFront) draw_points(shapes, series, scales, false);
  shapes.close();
}

void draw_points_on_top(Markup& shapes, const Series& series, const Scales& scales) {
  if (std::none_of(series.points.begin(), series.points.end(), [](auto& p) { return p.on_top; }))
    return;
  shapes.open("g", {{"class", "series " + style_class(series.style)}});
  draw_points(shapes, series, scales, true);
  shapes.close();
}

// One arrow for all points above the picture at one x, which names them.
void draw_arrows(Markup& shapes, const Panel& panel, const PlotArea& area, const Scales& scales) {
  std::map<double, std::vector<const ChartPoint*>> above;
  for (const Series& series : panel.series)
    for (const ChartPoint& point : series.points)
      if (lies_above(point, scales.y)) above[point.x].push_back(&point);
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

void draw_panel(Markup& shapes, const Panel& panel, const PlotArea& area,
                const std::string& clip_id) {
  const Scales scales = scales_of(panel, area);
  shapes.open("clipPath", {{"id", clip_id}});
  shapes.empty("rect", {{"x", px(area.left)},
                        {"y", px(area.top)},
                        {"width", px(area.right - area.left)},
                        {"height", px(area.bottom - area.top)}});
  shapes.close();
  draw_axis_at_left(shapes, panel.y, scales.y, area);
  draw_axis_below(shapes, panel.x, scales.x, area);
  draw_marks(shapes, panel, area);
  // The background first, and the first series, which matters most, last.
  for (const Series& series : panel.series)
    if (series.style == kGrey) draw_series(shapes, series, area, scales, clip_id, panel);
  for (auto series = panel.series.rbegin(); series != panel.series.rend(); ++series)
    if (series->style != kGrey) draw_series(shapes, *series, area, scales, clip_id, panel);
  for (auto series = panel.series.rbegin(); series != panel.series.rend(); ++series)
    draw_points_on_top(shapes, *series, scales);
  draw_arrows(shapes, panel, area, scales);
}

}  // namespace perdure::report
