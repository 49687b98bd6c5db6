// SPDX-License-Identifier: Apache-2.0
#include "apps/perdure/report/markup.hpp"

#include <doctest/doctest.h>

namespace perdure::report {

TEST_CASE("texts and attributes cannot leave their place") {
  CHECK(escaped("<b a=\"1\">&'</b>") == "&lt;b a=&quot;1&quot;&gt;&amp;&#39;&lt;/b&gt;");
  Markup markup;
  markup.open("p", {{"title", "\"><script>"}}).text("</p>").close();
  CHECK(markup.str() == "<p title=\"&quot;&gt;&lt;script&gt;\">&lt;/p&gt;</p>\n");
}

TEST_CASE("what is not UTF-8, or no character of XML, becomes the replacement character") {
  CHECK(escaped("caf\xC3\xA9 \xE2\x98\x85 \xF0\x9F\x98\x80") ==
        "caf\xC3\xA9 \xE2\x98\x85 \xF0\x9F\x98\x80");
  for (const std::string_view bad :
       {"\xFF", "\xC3", "\x80", "\xC0", "\x1B", "\x7F", "\xE0\x80", "\xF5"})
    CHECK(escaped(bad).starts_with("\xEF\xBF\xBD"));
  CHECK(escaped("\xED\xA0\x80").find('\xED') == std::string::npos);      // half of a pair
  CHECK(escaped("\xF4\x90\x80\x80").find('\xF4') == std::string::npos);  // beyond the last plane
  CHECK(escaped("\xEF\xBF\xBF").find("\xBF\xBF") == std::string::npos);  // no character
  CHECK(escaped(std::string_view("a\0b", 3)) ==
        "a\xEF\xBF\xBD"
        "b");
  CHECK(escaped("a\tb\nc") == "a\tb\nc");
}

TEST_CASE("long names keep both ends and whole characters") {
  CHECK(shortened("short", 5) == "short");
  CHECK(shortened("self-extend half", 9) == "self\u2026half");
  CHECK(shortened("\u00E4\u00F6\u00FC\u00DF\u00E4\u00F6", 3) == "\u00E4\u2026\u00F6");
  CHECK(text_width("wide", 12) > text_width("ill", 12));
}

TEST_CASE("elements are closed in the order in which they were opened") {
  Markup inner;
  inner.element("b", {}, "x");
  Markup markup;
  markup.open("div").open("p").add(inner).empty("br", {}).close().close();
  CHECK(markup.str() == "<div><p><b>x</b><br/>\n</p>\n</div>\n");
}

}  // namespace perdure::report
