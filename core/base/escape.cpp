// SPDX-License-Identifier: Apache-2.0

#include "core/base/escape.hpp"

#include <cstdint>

#include "core/base/utf8.hpp"

namespace perdure {
namespace {

// "\\x1b", "\\u202e".
std::string code_text(const char* prefix, uint32_t code, int n_digits) {
  std::string text = prefix;
  while (n_digits > 0) text += "0123456789abcdef"[(code >> 4 * --n_digits) & 0xf];
  return text;
}

// Characters that change the order of those around them (Unicode's Bidi_Control): what is read then
// is not what stands there.
char32_t bidi_control(std::string_view character) {
  if (character == "\u061c") return U'\u061c';
  if (character.size() != 3 || character[0] != '\xe2') return 0;
  const char32_t code = 0x2000 + (static_cast<uint8_t>(character[1]) & 0x3f) * 0x40 +
                        (static_cast<uint8_t>(character[2]) & 0x3f);
  const bool is_one = code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
                      (code >= 0x2066 && code <= 0x2069);
  return is_one ? code : 0;
}

// Bytes of the printable character that `text` begins with; 0 if it begins with none.
size_t printable_bytes(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return first == '\n' || first == '\t' || (first >= 0x20 && first != 0x7f);
  const size_t size = utf8_character(text);
  if (size == 1) return 0;
  const bool c1_control = first == 0xc2 && static_cast<uint8_t>(text[1]) < 0xa0;
  return c1_control ? 0 : size;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t size = printable_bytes(text);
    if (const char32_t control = bidi_control(text.substr(0, size)))
      result += code_text("\\u", static_cast<uint32_t>(control), 4);
    else if (size > 0)
      result += text.substr(0, size);
    else
      result += code_text("\\x", static_cast<uint8_t>(text[0]), 2);
    text.remove_prefix(size > 0 ? size : 1);
  }
  return result;
}

}  // namespace perdure
