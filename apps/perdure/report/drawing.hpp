// SPDX-License-Identifier: Apache-2.0

// What every picture has: a size, the shapes, and how it becomes a file of its own or a part of a
// page. Colours and fonts are classes of assets/picture.css, which knows light and dark.
#pragma once

#include <string>
#include <string_view>

#include "apps/perdure/report/markup.hpp"

namespace perdure::report {

// How many lines can be distinguished: colours for every kind of sight, each with its own dashes
// and its own marker. kGrey is the style of whatever only stands in the background.
inline constexpr int kStyles = 8;
inline constexpr int kGrey = -1;

// The class that gives a style its colour and dashes.
std::string style_class(int style);

struct Drawing {
  Markup shapes;
  double width = 0, height = 0;
};

struct Caption {
  std::string title;        // a few words, the heading of a file of its own
  std::string description;  // what is seen, for those who do not see it
};

// Pixels with at most one digit behind the point: short, and the same on every machine.
std::string px(double value);

// "middle", "start" and "end" as in SVG.
void draw_text(Markup& shapes, double x, double y, std::string_view words,
               std::string_view css_class, std::string_view anchor = "start");
// A straight line.
void draw_rule(Markup& shapes, double x1, double y1, double x2, double y2,
               std::string_view css_class);
// The marker of a style, in the colour of the group that it stands in. "marker" fills it, "hollow"
// lets see what lies below it.
void draw_marker(Markup& shapes, double x, double y, int style,
                 std::string_view css_class = "marker");

// A document of its own with title, background and style sheet.
std::string svg_file(const Drawing& drawing, const Caption& caption);
// An <svg> for a page that has picture_style() in its head. `id` is unique on that page.
Markup svg_in_page(const Drawing& drawing, const Caption& caption, const std::string& id,
                   const std::string& css_class);

}  // namespace perdure::report
