// SPDX-License-Identifier: Apache-2.0

// Writes HTML and SVG so that it is well formed whatever the names in it are: elements are closed
// in order, and every text and attribute value is escaped on its way in.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace perdure::report {

// Text as it may stand between tags and in double quotes. Bytes that are not UTF-8, and characters
// that XML has no place for (most control characters), become U+FFFD.
std::string escaped(std::string_view text);

// At most `max_characters` characters: the middle is left out, because names of one family differ
// at their ends. Requires: max_characters >= 3.
std::string shortened(std::string_view text, size_t max_characters);

// About how wide a sans-serif font of `font_size` pixels sets the text; rather too wide than too
// narrow.
double text_width(std::string_view text, double font_size);

using Attributes = std::vector<std::pair<std::string_view, std::string>>;

// A piece of a document under construction. Values, not a stream: pieces are made apart and joined.
class Markup {
 public:
  Markup& open(std::string_view element, const Attributes& attributes = {});
  // Requires: an open element.
  Markup& close();
  Markup& text(std::string_view words);
  // An element that holds nothing, and one that holds a text.
  Markup& empty(std::string_view element, const Attributes& attributes);
  Markup& element(std::string_view element, const Attributes& attributes, std::string_view words);
  // Requires: `piece` has closed all its elements.
  Markup& add(const Markup& piece);
  // Style sheets and scripts of the program itself; goes in as it is.
  Markup& verbatim(std::string_view own_text);

  const std::string& str() const { return text_; }

 private:
  void write_tag(std::string_view element, const Attributes& attributes);

  std::string text_;
  std::vector<std::string> open_;
};

}  // namespace perdure::report
