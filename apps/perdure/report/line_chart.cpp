// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/line_chart.hpp"

#include <algorithm>
#include <cmath>

#include "apps/perdure/report/dot_panel.hpp"
#include "apps/perdure/report/panel.hpp"
#include "apps/perdure/report/quantity.hpp"
#include "apps/perdure/report/words.hpp"

namespace perdure::report {
namespace {

constexpr double kWide = 640;  // from here on the legend stands at the side
constexpr double kLegendWidth = 232;
constexpr double kLegendRow = 21;
constexpr double kTickWidth = 62;  // left of a plot
constexpr double kBelowPlot = 50;  // tick texts and the axis' title
constexpr double kTitleRow = 19;
constexpr double kTitleFont = 14.8;  // as wide as the style sheet's bold one of 13.5
constexpr double kSample = 34;       // of a line in the legend

// Where a line ends, to list names in the order in which the eye meets the lines.
double last_value(const Series& series) {
  for (auto point = series.points.rbegin(); point != series.points.rend(); ++point)
    if (point->measured) return std::isnan(point->y) ? INFINITY : point->y;
  return -INFINITY;
}

struct LegendEntries {
  std::vector<const Series*> named;  // from top to bottom
  size_t n_grey = 0;
  bool points_only = false;
};

// Every style once, from the first panel that has it.
LegendEntries legend_of(const LineFigure& figure) {
  LegendEntries legend;
  for (const Panel& panel : figure.panels) {
    if (has_one_x(panel)) continue;  // names its rows
    size_t n_grey = 0;
    for (const Series& series : panel.series) {
      if (series.look == Series::Look::kFront) continue;
      legend.points_only = series.look == Series::Look::kPoints;
      n_grey += series.style == kGrey;
      const bool known = std::any_of(legend.named.begin(), legend.named.end(),
                                     [&](auto* other) { return other->style == series.style; });
      if (series.style != kGrey && !known) legend.named.push_back(&series);
    }
    legend.n_grey = std::max(legend.n_grey, n_grey);
  }
  std::stable_sort(legend.named.begin(), legend.named.end(),
                   [](auto* a, auto* b) { return last_value(*a) > last_value(*b); });
  return legend;
}

void draw_sample(Markup& shapes, double x, double y, int style, bool points_only) {
  if (!points_only) draw_rule(shapes, x, y, x + kSample, y, "line");
  draw_marker(shapes, x + kSample / 2, y, points_only && style == kGrey ? 0 : style,
              points_only ? "hollow" : "marker");
}

// The name cut to what fits, the whole of it on hover.
void draw_legend_row(Markup& shapes, double x, double y, double width, int style,
                     const std::string& name, bool points_only) {
  const std::string words = fitted(name, width - kSample - 8, 12.5);
  shapes.open("g", {{"class", "series " + style_class(style)}});
  if (words != name) shapes.element("title", {}, name);
  draw_sample(shapes, x, y, style, points_only);
  draw_text(shapes, x + kSample + 8, y + 4, words, "name");
  shapes.close();
}

// Returns the y below it.
double draw_legend(Markup& shapes, const LegendEntries& legend, double x, double y, double width) {
  for (const Series* series : legend.named) {
    draw_legend_row(shapes, x, y, width, series->style, series->name, legend.points_only);
    y += kLegendRow;
  }
  if (legend.n_grey > 0) {
    const auto n = static_cast<int64_t>(legend.n_grey);
    draw_legend_row(shapes, x, y, width, kGrey, counted(n, "other", "others"), legend.points_only);
    y += kLegendRow;
  }
  return y;
}

// Returns the y below the panel.
double draw_panel_at(Markup& shapes, const Panel& panel, double y, double width,
                     const std::string& clip_id) {
  for (const std::string& line : wrapped(panel.title, width, kTitleFont)) {
    if (line.empty()) break;
    draw_text(shapes, 0, y + 13, line, "subheading");
    y += kTitleRow;
  }
  if (has_one_x(panel)) return draw_dot_panel(shapes, panel, y, width);
  if (!panel.y.title.empty()) {
    draw_text(shapes, 0, y + 12, panel.y.title, "soft");
    y += kTitleRow;
  }
  const double height = width < 420 ? 270 : 330;
  PlotArea area = {kTickWidth, 0, width - 6, height};
  area.top = y + mark_labels_height(panel, area) + 4;
  area.bottom = area.top + height;
  draw_panel(shapes, panel, area, clip_id);
  return area.bottom + kBelowPlot;
}

}  // namespace

Drawing draw_lines(const LineFigure& figure, double width, const std::string& id) {
  const LegendEntries legend = legend_of(figure);
  const bool has_legend = !legend.named.empty() || legend.n_grey > 0;
  const bool wide = width >= kWide && has_legend;
  const double plot_width = wide ? width - kLegendWidth - 18 : width;
  Drawing drawing = {{}, width, 0};
  double y = 0;
  for (size_t i = 0; i < figure.panels.size(); ++i) {
    y = draw_panel_at(drawing.shapes, figure.panels[i], y, plot_width,
                      id + "-clip" + std::to_string(i)) +
        8;
    // Below the first: on a phone the last may be a long way down.
    if (i == 0 && has_legend && !wide)
      y = draw_legend(drawing.shapes, legend, 4, y + 6, width - 4) + 8;
  }
  if (wide) y = std::max(y, draw_legend(drawing.shapes, legend, plot_width + 18, 30, kLegendWidth));
  drawing.height = draw_notes(drawing.shapes, figure.notes, y, width) + 4;
  return drawing;
}

}  // namespace perdure::report
