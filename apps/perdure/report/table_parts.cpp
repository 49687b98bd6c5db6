// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/table_parts.hpp"

#include "apps/perdure/report/drawing.hpp"

namespace perdure::report {

void open_table(Markup& markup, const std::string& caption) {
  markup.open(
      "div", {{"class", "scroll"}, {"tabindex", "0"}, {"role", "region"}, {"aria-label", caption}});
  markup.open("table", {{"class", "sortable"}});
  markup.open("caption").element("div", {}, caption).close();
}

void add_heading(Markup& markup, const std::string& words, const std::string& css_class) {
  Attributes attributes = {{"scope", "col"}};
  if (!css_class.empty()) attributes.emplace_back("class", css_class);
  markup.element("th", attributes, words);
}

void add_entry_heading(Markup& markup, const ComparisonView& view, int64_t e) {
  markup.open("th", {{"scope", "row"}});
  const int style = view.style(e);
  if (style != kGrey) {
    markup.open("svg",
                {{"class", "picture swatch"}, {"viewBox", "-8 -8 16 16"}, {"aria-hidden", "true"}});
    markup.open("g", {{"class", style_class(style)}});
    draw_marker(markup, 0, 0, style);
    markup.close().close();
  }
  markup.element("bdi", {}, view.entry(e).name).close();
}

}  // namespace perdure::report
