// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "apps/perdure/report/assets.hpp"
#include "apps/perdure/report/heat_map.hpp"
#include "apps/perdure/report/line_chart.hpp"
#include "apps/perdure/report/value_axis.hpp"

namespace perdure::report {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

size_t count(const Drawing& drawing, const std::string& part) {
  size_t n = 0;
  for (size_t at = 0; (at = drawing.shapes.str().find(part, at)) != std::string::npos; ++at) ++n;
  return n;
}

ChartPoint point(double x, double y) { return {x, y, y - 0.1, y + 0.1, "at " + px(x), true}; }

LineFigure figure_of(std::vector<Series> series, Axis y = {}) {
  Panel panel;
  panel.x.kind = ScaleKind::kLog2;
  panel.y = std::move(y);
  panel.series = std::move(series);
  return {{panel}, {}};
}

// Of a colour "rrggbb" (WCAG 2).
double luminance(const std::string& colour) {
  const auto part = [&](size_t at) {
    const double c = std::stoi(colour.substr(at, 2), nullptr, 16) / 255.0;
    return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4);
}

}  // namespace

TEST_CASE("coloured lines have a band and markers, grey ones only a line") {
  const Drawing drawing = draw_lines(
      figure_of({{"a", 0, {point(1, 1), point(2, 2)}}, {"b", kGrey, {point(1, 2), point(2, 3)}}}),
      900, "id");
  CHECK(count(drawing, "class=\"band\"") == 1);
  CHECK(count(drawing, "class=\"marker\"") == 2 + 1);  // and one in the legend
  CHECK(count(drawing, "class=\"hit\"") == 4);
  CHECK(count(drawing, ">1 other<") == 1);
}

TEST_CASE("a value above the picture, infinite or no number is an arrow that names it") {
  Axis y;
  y.range = Range{0, 3};
  const Drawing drawing = draw_lines(
      figure_of({{"a", 0, {point(1, 1), point(2, 1e300), point(4, kInf), point(8, kNaN)}}}, y), 900,
      "id");
  CHECK(count(drawing, "class=\"arrow\"") == 3);
  CHECK(count(drawing, "Above the picture:\nat 8") == 1);
  CHECK(count(drawing, "nan") == 0);
  CHECK(count(drawing, "inf") == 0);
}

TEST_CASE("where nothing was measured the line has a gap and no arrow") {
  ChartPoint gap;
  gap.x = 2;
  gap.measured = false;
  const Drawing drawing =
      draw_lines(figure_of({{"a", 1, {point(1, 1), gap, point(4, 2)}}}), 900, "id");
  CHECK(count(drawing, "class=\"arrow\"") == 0);
  const std::string& shapes = drawing.shapes.str();
  const size_t line = shapes.rfind("<path d=\"", shapes.find("class=\"line\""));
  const std::string path = shapes.substr(line, shapes.find("class=\"line\"") - line);
  CHECK(path.find('L') == std::string::npos);
}

TEST_CASE("the legend stands at the side of wide drawings, below the first panel of narrow ones") {
  LineFigure figure = figure_of({{"a", 0, {point(1, 1), point(2, 2)}}});
  figure.panels.push_back(figure.panels[0]);
  figure.panels[1].title = "second";
  const Drawing wide = draw_lines(figure, 900, "id"), narrow = draw_lines(figure, 350, "id");
  CHECK(wide.width == 900);
  CHECK(narrow.width == 350);
  CHECK(wide.shapes.str().find("class=\"name\">a<") > wide.shapes.str().find(">second<"));
  CHECK(narrow.shapes.str().find("class=\"name\">a<") < narrow.shapes.str().find(">second<"));
}

TEST_CASE("a title that is wider than its panel continues in the next line") {
  LineFigure figure = figure_of({{"a", 0, {point(1, 1), point(2, 2)}}});
  figure.panels[0].title = "Top-1 accuracy of the last 256 targets, context shuffled";
  const Drawing wide = draw_lines(figure, 900, "id"), narrow = draw_lines(figure, 350, "id");
  CHECK(count(wide, "class=\"subheading\"") == 1);
  CHECK(count(narrow, "class=\"subheading\"") == 2);
  CHECK(count(narrow, ">Top-1 accuracy of the last 256 targets, context shuffled<") == 0);
  CHECK(count(narrow, "shuffled<") == 1);
}

TEST_CASE("lines of one point each are rows with their names, the lowest first") {
  const Drawing drawing = draw_lines(figure_of({{"high", 0, {point(4, 3)}},
                                                {"low", kGrey, {point(4, 1)}},
                                                {"none", 1, {point(4, kNaN)}}}),
                                     900, "id");
  const std::string& shapes = drawing.shapes.str();
  CHECK(shapes.find(">low<") < shapes.find(">high<"));
  CHECK(shapes.find(">high<") < shapes.find(">none<"));
  CHECK(count(drawing, "class=\"interval\"") == 2);
  CHECK(count(drawing, "nan") == 0);
}

TEST_CASE("labels of vertical marks that would touch stand in rows of their own") {
  LineFigure figure = figure_of({{"a", 0, {point(1, 1), point(1024, 2)}}});
  const double before = draw_lines(figure, 900, "id").height;
  figure.panels[0].marks = {{64, "trained at 64", ""}, {70, "trained at 70", ""}};
  CHECK(draw_lines(figure, 900, "id").height >= before + 30);
}

TEST_CASE("a figure without points is still a drawing") {
  CHECK(draw_lines(figure_of({}), 900, "id").height > 100);
  CHECK(draw_lines({}, 900, "id").height > 0);
}

TEST_CASE("the colours of entries stand out from light paper, and more so from dark") {
  const std::string style(picture_style());
  for (int i = 0; i < kStyles; ++i) {
    CAPTURE(i);
    const std::string rule = ".picture .style" + std::to_string(i) + " { color: #";
    const size_t at = style.find(rule);
    REQUIRE(at != std::string::npos);
    const double colour = luminance(style.substr(at + rule.size(), 6));
    CHECK((luminance("ffffff") + 0.05) / (colour + 0.05) > 3);
    CHECK((colour + 0.05) / (luminance("0d1117") + 0.05) > 3.6);
  }
}

TEST_CASE("a heat map shades what was measured and leaves the rest open") {
  HeatFigure figure = {"length", "depth", {"256", "512"}, {"0 %"}, {}, {}};
  figure.maps = {{"a", {{0.5, true, "50", "half"}, {0, false, "\u2013", "refused: no room"}}}};
  const Drawing drawing = draw_heat_maps(figure, 350);
  CHECK(count(drawing, "fill-opacity=\"0.500\"") == 2);  // and one in the key
  CHECK(count(drawing, "refused: no room") == 1);
  figure.maps[0].cells[0].share = kNaN;
  CHECK(count(draw_heat_maps(figure, 350), "nan") == 0);
}

TEST_CASE("a file stands alone: its size, its style sheet, its title") {
  const std::string file =
      svg_file(draw_lines(figure_of({{"<a>", 0, {point(1, 1)}}}), 900, "id"), {"T&", "D"});
  CHECK(file.starts_with("<?xml"));
  CHECK(file.find("viewBox=\"0 0 932 ") != std::string::npos);
  CHECK(file.find("prefers-color-scheme: dark") != std::string::npos);
  CHECK(file.find("<title id=\"picture-title\">T&amp;</title>") != std::string::npos);
  CHECK(file.find("<a>") == std::string::npos);
}

TEST_CASE("intervals that would lie on one another in a blot are bars") {
  std::vector<Series> series;
  for (int i = 0; i < 4; ++i) series.push_back({"s", i, {point(1, 1 + 0.01 * i), point(2, 2 + i)}});
  CHECK(bands_pile_up(series));
  series.pop_back();
  CHECK_FALSE(bands_pile_up(series));
  LineFigure figure = figure_of(series);
  figure.panels[0].bars = true;
  const Drawing drawing = draw_lines(figure, 900, "id");
  CHECK(count(drawing, "class=\"bar\"") == 3);
  CHECK(count(drawing, "class=\"band\"") == 0);
}

TEST_CASE("the key of a heat map stands inside a phone's width") {
  HeatFigure figure = {"length", "depth", {"256"}, {"50 %"}, {{"a", {{0.5, true, "50", ""}}}}, {}};
  // The words are 66 pixels wide and begin behind the shades where there is room.
  CHECK(count(draw_heat_maps(figure, 900), "<text x=\"300\"") == 1);
  const Drawing phone = draw_heat_maps(figure, 350);
  CHECK(count(phone, "<text x=\"300\"") == 0);
  CHECK(count(phone, ">not measured<") == 1);
}

TEST_CASE("entries have the same colour on light and on dark paper") {
  const std::string style(picture_style());
  const std::string dark = style.substr(style.find("prefers-color-scheme: dark"));
  for (int i = 0; i < kStyles; ++i)
    CHECK(dark.find(".style" + std::to_string(i)) == std::string::npos);
}

}  // namespace perdure::report
