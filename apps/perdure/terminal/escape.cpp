// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/escape.hpp"

#include <fmt/format.h>

#include <cstdint>

#include "core/model/tokenizers/utf8.hpp"

namespace perdure::app {
namespace {

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
  const bool c1_control = first == 0xc2 && static_cast<uint8_t>(text[1]) < 0xa0;
  return size == 1 || c1_control ? 0 : size;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t size = printable_bytes(text);
    if (const char32_t control = bidi_control(text.substr(0, size)))
      result += fmt::format("\\u{:04x}", static_cast<uint32_t>(control));
    else if (size > 0)
      result += text.substr(0, size);
    else
      result += fmt::format("\\x{:02x}", static_cast<uint8_t>(text[0]));
    text.remove_prefix(size > 0 ? size : 1);
  }
  return result;
}

}  // namespace perdure::app
