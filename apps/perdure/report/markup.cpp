// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/markup.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>

namespace perdure::report {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// The bytes of the character at the beginning, or 0 if there is none in UTF-8.
size_t character_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const size_t n = first < 0x80   ? 1
                   : first < 0xC2 ? 0
                   : first < 0xE0 ? 2
                   : first < 0xF0 ? 3
                   : first < 0xF5 ? 4
                                  : 0;
  if (n > text.size()) return 0;
  for (size_t i = 1; i < n; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  if (n < 3) return n;
  // Longer than needed, halves of a pair, beyond the last plane, and the two that are no
  // characters.
  const auto second = static_cast<unsigned char>(text[1]);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
  if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
  if (text.starts_with("\xEF\xBF\xBE") || text.starts_with("\xEF\xBF\xBF")) return 0;
  return n;
}

std::string_view escaped_character(std::string_view character) {
  if (character.size() > 1) return character;
  switch (character[0]) {
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '&':
      return "&amp;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    case '\t':
    case '\n':
      return character;
    default:
      break;
  }
  const bool printable = character[0] >= 0x20 && character[0] != 0x7F;
  return printable ? character : kReplacement;
}

// Each character of the text; kReplacement for a byte that is none.
std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> result;
  while (!text.empty()) {
    const size_t n = character_bytes(text);
    result.push_back(n == 0 ? kReplacement : text.substr(0, n));
    text.remove_prefix(std::max<size_t>(n, 1));
  }
  return result;
}

// Elements inside a line of text, after which a line end would be seen as a space.
bool is_inline(std::string_view element) {
  static constexpr std::array<std::string_view, 9> kInline = {
      "a", "b", "bdi", "code", "small", "span", "strong", "title", "tspan"};
  return std::find(kInline.begin(), kInline.end(), element) != kInline.end();
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  for (const std::string_view character : characters(text)) result += escaped_character(character);
  return result;
}

std::string shortened(std::string_view text, size_t max_characters) {
  const std::vector<std::string_view> all = characters(text);
  const size_t kept = all.size() <= max_characters ? all.size() : max_characters - 1;
  const size_t front = all.size() <= max_characters ? kept : (kept + 1) / 2;
  std::string result;
  for (size_t i = 0; i < front; ++i) result += all[i];
  if (kept < all.size()) result += "\u2026";
  for (size_t i = all.size() - (kept - front); i < all.size(); ++i) result += all[i];
  return result;
}

double text_width(std::string_view text, double font_size) {
  double ems = 0;
  for (const std::string_view character : characters(text)) {
    if (character.size() > 2)
      ems += 1;
    else if (std::string_view("iIjlt.,:;'|!()[] ").find(character) != std::string_view::npos)
      ems += 0.38;
    else if (std::string_view("mwMW@%").find(character) != std::string_view::npos)
      ems += 0.95;
    else
      ems += 0.61;
  }
  return ems * font_size;
}

void Markup::write_tag(std::string_view element, const Attributes& attributes) {
  text_ += '<';
  text_ += element;
  for (const auto& [name, value] : attributes) {
    text_ += ' ';
    text_ += name;
    text_ += "=\"" + escaped(value) + '"';
  }
}

Markup& Markup::open(std::string_view element, const Attributes& attributes) {
  write_tag(element, attributes);
  text_ += '>';
  open_.emplace_back(element);
  return *this;
}

Markup& Markup::close() {
  assert(!open_.empty());
  text_ += "</" + open_.back() + '>';
  if (!is_inline(open_.back())) text_ += '\n';
  open_.pop_back();
  return *this;
}

Markup& Markup::text(std::string_view words) {
  text_ += escaped(words);
  return *this;
}

Markup& Markup::empty(std::string_view element, const Attributes& attributes) {
  write_tag(element, attributes);
  text_ += "/>\n";
  return *this;
}

Markup& Markup::element(std::string_view element, const Attributes& attributes,
                        std::string_view words) {
  return open(element, attributes).text(words).close();
}

Markup& Markup::add(const Markup& piece) {
  assert(piece.open_.empty());
  text_ += piece.text_;
  return *this;
}

Markup& Markup::verbatim(std::string_view own_text) {
  text_ += own_text;
  return *this;
}

}  // namespace perdure::report
