// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/heat_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>

#include "apps/perdure/report/words.hpp"

namespace perdure::report {
namespace {

constexpr double kCellHeight = 22;
constexpr double kLeastCellWidth = 33, kMostCellWidth = 48;
constexpr double kLeastMapWidth = 160;  // for the title
constexpr double kGap = 26;             // between maps
constexpr double kTitleRow = 20;        // above a map
constexpr double kBelow = 24;           // column labels
constexpr double kSmallFont = 10.5;

// The places of the maps, all of one size.
struct Layout {
  double row_label_width, cell_width;
  size_t maps_per_row;
  double map_width, map_height;
};

Layout layout_of(const HeatFigure& figure, double width) {
  double label = 0;
  for (const std::string& row : figure.rows) label = std::max(label, text_width(row, kSmallFont));
  label = std::min(label, width / 3) + 8;
  const auto n_columns = static_cast<double>(figure.columns.size());
  const double least = std::max(label + n_columns * kLeastCellWidth, kLeastMapWidth);
  const auto fitting = static_cast<size_t>(std::max(1.0, (width + kGap) / (least + kGap)));
  const size_t per_row = std::clamp<size_t>(fitting, 1, std::max<size_t>(figure.maps.size(), 1));
  const auto n = static_cast<double>(per_row);
  const double room = (width - (n - 1) * kGap) / n - label;
  const double cell = std::min(room / n_columns, kMostCellWidth);
  const double height = kTitleRow + static_cast<double>(figure.rows.size()) * kCellHeight + kBelow;
  return {label, cell, per_row, std::max(label + n_columns * cell, kLeastMapWidth), height};
}

// Dark shades need light figures, from another shade on in light than in dark: where the contrasts
// of both colours of the style sheet are equal, 3.8 and 4.1.
std::string_view shade_class(double share) {
  return share < 0.635 ? "on-light" : share < 0.7 ? "on-middle" : "on-dark";
}

void draw_cell(Markup& shapes, const HeatCell& cell, double x, double y, double width) {
  const double share = std::isfinite(cell.share) ? std::clamp(cell.share, 0.0, 1.0) : 0;
  shapes.open("g", {{"class", "cell"}});
  shapes.element("title", {}, cell.hover);
  Attributes rect = {{"x", px(x)},
                     {"y", px(y)},
                     {"width", px(width - 1)},
                     {"height", px(kCellHeight - 1)},
                     {"class", cell.measured ? "heat" : "nothing"}};
  if (cell.measured) rect.emplace_back("fill-opacity", fmt::format("{:.3f}", share));
  if (cell.measured)
    shapes.empty("rect", {{"x", px(x)},
                          {"y", px(y)},
                          {"width", px(width - 1)},
                          {"height", px(kCellHeight - 1)},
                          {"class", "frame"}});
  shapes.empty("rect", rect);
  if (text_width(cell.words, kSmallFont) <= width - 2)
    draw_text(shapes, x + (width - 1) / 2, y + 15, cell.words,
              fmt::format("small {}", cell.measured ? shade_class(share) : "on-light"), "middle");
  shapes.close();
}

void draw_column_labels(Markup& shapes, const HeatFigure& figure, const Layout& layout, double x,
                        double y) {
  double free_from = -1e9;
  for (size_t column = 0; column < figure.columns.size(); ++column) {
    const double middle = x + (static_cast<double>(column) + 0.5) * layout.cell_width;
    const double half = text_width(figure.columns[column], kSmallFont) / 2;
    if (middle - half < free_from) continue;
    free_from = middle + half + 1;
    draw_text(shapes, middle, y, figure.columns[column], "small soft", "middle");
  }
}

void draw_map(Markup& shapes, const HeatFigure& figure, const HeatMap& map, const Layout& layout,
              double x, double y) {
  assert(map.cells.size() == figure.rows.size() * figure.columns.size());
  const std::string title = fitted(map.title, layout.map_width, 12.5);
  shapes.open("g", {});
  if (title != map.title) shapes.element("title", {}, map.title);
  draw_text(shapes, x, y + 13, title, "name");
  shapes.close();
  const double left = x + layout.row_label_width;
  for (size_t row = 0; row < figure.rows.size(); ++row) {
    const double top = y + kTitleRow + static_cast<double>(row) * kCellHeight;
    draw_text(shapes, left - 6, top + 15,
              fitted(figure.rows[row], layout.row_label_width, kSmallFont), "small soft", "end");
    for (size_t column = 0; column < figure.columns.size(); ++column)
      draw_cell(shapes, map.cells[row * figure.columns.size() + column],
                left + static_cast<double>(column) * layout.cell_width, top, layout.cell_width);
  }
  draw_column_labels(shapes, figure, layout, left, y + layout.map_height - 8);
}

// What the shades mean. Returns the y below it: narrow drawings need a second row.
double draw_key(Markup& shapes, double y, double width) {
  constexpr double kKeyCell = 42;
  const auto key_cell = [&](size_t i, HeatCell cell) {
    draw_cell(shapes, cell, static_cast<double>(i) * kKeyCell, y, kKeyCell);
  };
  for (size_t i = 0; i <= 4; ++i)
    key_cell(i, {static_cast<double>(i) / 4, true, fmt::format("{} %", 25 * i), ""});
  constexpr const char* kNothing = "not measured";
  const bool fits = 7 * kKeyCell + 6 + text_width(kNothing, kSmallFont) <= width;
  if (!fits) y += kCellHeight + 4;
  const double x = fits ? 6 * kKeyCell : 0;
  draw_cell(shapes, {0, false, "\u2013", ""}, x, y, kKeyCell);
  draw_text(shapes, x + kKeyCell + 6, y + 15, kNothing, "small soft");
  return y + kCellHeight;
}

}  // namespace

Drawing draw_heat_maps(const HeatFigure& figure, double width) {
  if (figure.maps.empty()) {
    Drawing sentences = {{}, width, 0};
    sentences.height = draw_notes(sentences.shapes, figure.notes, 0, width) + 4;
    return sentences;
  }
  const Layout layout = layout_of(figure, width);
  Drawing drawing = {{}, width, 0};
  draw_text(drawing.shapes, 0, 12,
            fmt::format("Down: {}; across: {}", figure.row_title, figure.column_title), "soft");
  double y = 26;
  for (size_t i = 0; i < figure.maps.size(); ++i) {
    const auto column = static_cast<double>(i % layout.maps_per_row);
    if (i > 0 && column == 0) y += layout.map_height + 6;
    draw_map(drawing.shapes, figure, figure.maps[i], layout, column * (layout.map_width + kGap), y);
  }
  y += layout.map_height + 10;
  y = draw_key(drawing.shapes, y, width);
  drawing.height = draw_notes(drawing.shapes, figure.notes, y + 8, width) + 4;
  return drawing;
}

}  // namespace perdure::report
