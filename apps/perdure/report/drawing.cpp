// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/drawing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "apps/perdure/report/assets.hpp"

namespace perdure::report {
namespace {

constexpr double kTitleHeight = 40;
constexpr double kMargin = 16;

// Around (0, 0), about nine pixels across; which of them are filled is the style sheet's business.
constexpr std::array<std::string_view, kStyles> kMarkers = {
    "M-4,0A4,4,0,1,1,4,0A4,4,0,1,1,-4,0Z",                   // disc
    "M-3.6,-3.6H3.6V3.6H-3.6Z",                              // square
    "M0,-5L4.6,3.4H-4.6Z",                                   // triangle
    "M0,-5L5,0L0,5L-5,0Z",                                   // diamond
    "M0,5L4.6,-3.4H-4.6Z",                                   // triangle, tip down
    "M-1.5,-5H1.5V-1.5H5V1.5H1.5V5H-1.5V1.5H-5V-1.5H-1.5Z",  // plus
    "M0,-5L4.8,-1.5L2.9,4.1H-2.9L-4.8,-1.5Z",                // pentagon
    "M-4.5,-4.5H4.5L-4.5,4.5H4.5Z",                          // hourglass
};

void open_svg(Markup& markup, double width, double height, const Caption& caption,
              const std::string& id, const std::string& css_class) {
  markup.open("svg", {{"xmlns", "http://www.w3.org/2000/svg"},
                      {"viewBox", fmt::format("0 0 {} {}", px(width), px(height))},
                      {"class", css_class},
                      {"role", "img"},
                      {"aria-labelledby", fmt::format("{0}-title {0}-text", id)}});
  markup.element("title", {{"id", id + "-title"}}, caption.title);
  markup.element("desc", {{"id", id + "-text"}}, caption.description);
}

}  // namespace

std::string style_class(int style) {
  return style == kGrey ? "grey" : fmt::format("style{}", style);
}

std::string px(double value) {
  std::string text = fmt::format("{:.1f}", std::clamp(value, -1e5, 1e5));
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

void draw_text(Markup& shapes, double x, double y, std::string_view words,
               std::string_view css_class, std::string_view anchor) {
  Attributes attributes = {{"x", px(x)}, {"y", px(y)}};
  if (!css_class.empty()) attributes.emplace_back("class", css_class);
  if (anchor != "start") attributes.emplace_back("text-anchor", anchor);
  shapes.element("text", attributes, words);
}

void draw_rule(Markup& shapes, double x1, double y1, double x2, double y2,
               std::string_view css_class) {
  shapes.empty("line", {{"x1", px(x1)},
                        {"y1", px(y1)},
                        {"x2", px(x2)},
                        {"y2", px(y2)},
                        {"class", std::string(css_class)}});
}

void draw_marker(Markup& shapes, double x, double y, int style, std::string_view css_class) {
  if (style == kGrey) return;
  shapes.empty("path", {{"d", std::string(kMarkers[static_cast<size_t>(style) % kStyles])},
                        {"transform", fmt::format("translate({},{})", px(x), px(y))},
                        {"class", std::string(css_class)}});
}

std::string svg_file(const Drawing& drawing, const Caption& caption) {
  const double width = drawing.width + 2 * kMargin;
  const double height = drawing.height + kTitleHeight + 2 * kMargin;
  Markup markup;
  markup.verbatim("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
  open_svg(markup, width, height, caption, "picture", "picture");
  markup.open("style").verbatim(picture_style()).close();
  markup.empty("rect", {{"width", px(width)}, {"height", px(height)}, {"class", "paper"}});
  draw_text(markup, kMargin, kMargin + 18, caption.title, "heading");
  markup.open("g", {{"transform",
                     fmt::format("translate({},{})", px(kMargin), px(kMargin + kTitleHeight))}});
  markup.add(drawing.shapes).close().close();
  return markup.str();
}

Markup svg_in_page(const Drawing& drawing, const Caption& caption, const std::string& id,
                   const std::string& css_class) {
  Markup markup;
  open_svg(markup, drawing.width, drawing.height, caption, id, "picture " + css_class);
  markup.add(drawing.shapes).close();
  return markup;
}

}  // namespace perdure::report
