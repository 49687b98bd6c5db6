// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/dot_panel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/perdure/report/axes.hpp"
#include "apps/perdure/report/words.hpp"

namespace perdure::report {
namespace {

constexpr double kRowHeight = 20;
constexpr double kNameFont = 12.5;
constexpr double kRoom = 12;  // markers and arrows keep clear of the frame

struct Row {
  const Series* series;
  const ChartPoint* point;
};

// The lowest value first; what is no number last.
std::vector<Row> sorted_rows(const Panel& panel) {
  std::vector<Row> rows;
  for (const Series& series : panel.series)
    for (const ChartPoint& point : series.points)
      if (point.measured) rows.push_back({&series, &point});
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    const double x = a.point->y, y = b.point->y;
    return std::isnan(x) || std::isnan(y) ? !std::isnan(x) && std::isnan(y) : x < y;
  });
  return rows;
}

double names_width(const std::vector<Row>& rows, double width) {
  double widest = 0;
  for (const Row& row : rows) widest = std::max(widest, text_width(row.series->name, kNameFont));
  return std::min(widest, width * 0.36) + 10;
}

// An arrow at the edge for what lies beyond it.
void draw_row(Markup& shapes, const Row& row, const Scale& scale, double left, double y) {
  const ChartPoint& point = *row.point;
  const std::string name = fitted(row.series->name, left - 10, kNameFont);
  shapes.open("g", {{"class", "series " + style_class(row.series->style)}});
  shapes.element("title", {}, point.hover);
  draw_text(shapes, left - 10, y + 4, name, "name", "end");
  draw_rule(shapes, left, y, scale.to + kRoom, y, "grid");
  const auto place = [&](double value) { return std::clamp(scale(value), left, scale.to + kRoom); };
  if (lies_above(point, scale)) {
    const double tip = scale.to + kRoom;
    shapes.empty("path",
                 {{"d", fmt::format("M{},{}l-9,-5v10Z", px(tip), px(y))}, {"class", "marker"}});
  } else {
    if (std::isfinite(point.low) && std::isfinite(point.high))
      draw_rule(shapes, place(point.low), y, place(point.high), y, "interval");
    draw_marker(shapes, scale(point.y), y, row.series->style == kGrey ? 0 : row.series->style);
  }
  shapes.empty("rect", {{"x", "0"},
                        {"y", px(y - kRowHeight / 2)},
                        {"width", px(scale.to + kRoom)},
                        {"height", px(kRowHeight)},
                        {"class", "hit"}});
  shapes.close();
}

}  // namespace

bool has_one_x(const Panel& panel) {
  const double* x = nullptr;
  for (const Series& series : panel.series)
    for (const ChartPoint& point : series.points) {
      if (x != nullptr && *x != point.x) return false;
      x = &point.x;
    }
  return x != nullptr;
}

double draw_dot_panel(Markup& shapes, const Panel& panel, double top, double width) {
  const std::vector<Row> rows = sorted_rows(panel);
  const double left = names_width(rows, width);
  const Scale scale = {panel.y.kind, value_range(panel), left + kRoom, width - 6 - kRoom};
  const double bottom = top + static_cast<double>(rows.size()) * kRowHeight + 8;
  draw_axis_below(shapes, panel.y, scale, {left, top, width - 6, bottom});
  for (size_t i = 0; i < rows.size(); ++i)
    draw_row(shapes, rows[i], scale, left, top + (static_cast<double>(i) + 0.7) * kRowHeight);
  return bottom + 44;
}

}  // namespace perdure::report
