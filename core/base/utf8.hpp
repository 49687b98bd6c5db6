// SPDX-License-Identifier: Apache-2.0

// UTF-8: characters, code points and their bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace perdure {

constexpr bool is_utf8_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// Whether it may stand in a text: no surrogate, not past U+10FFFF.
constexpr bool is_code_point(uint32_t value) {
  return value < 0xD800 || (value > 0xDFFF && value <= 0x10FFFF);
}

// Bytes of the character that `text` begins with; 1 if it begins with none, 0 if it is empty.
constexpr size_t utf8_character(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t length = byte(0) >= 0xF0 && byte(0) < 0xF5   ? 4
                        : byte(0) >= 0xE0 && byte(0) < 0xF0 ? 3
                        : byte(0) >= 0xC2 && byte(0) < 0xE0 ? 2
                                                            : 1;
  if (length > text.size()) return 1;
  uint32_t value = length == 1 ? byte(0) : byte(0) & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if (!is_utf8_continuation(text[i])) return 1;
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  return is_code_point(value) && value >= kLeast[length] ? length : 1;
}

// Of the character that `text`, which is not empty, begins with; a byte that begins none stands for
// itself.
constexpr uint32_t code_point(std::string_view text) {
  const size_t size = utf8_character(text);
  if (size < 2) return static_cast<unsigned char>(text.front());
  uint32_t value = static_cast<unsigned char>(text.front()) & (0x7Fu >> size);
  for (size_t i = 1; i < size; ++i)
    value = value << 6 | (static_cast<unsigned char>(text[i]) & 0x3Fu);
  return value;
}

// Requires: is_code_point(value).
inline void append_utf8(uint32_t value, std::string& text) {
  const auto continuation = [&](int shift) {
    text += static_cast<char>(0x80 | ((value >> shift) & 0x3F));
  };
  if (value < 0x80) {
    text += static_cast<char>(value);
  } else if (value < 0x800) {
    text += static_cast<char>(0xC0 | (value >> 6));
    continuation(0);
  } else if (value < 0x10000) {
    text += static_cast<char>(0xE0 | (value >> 12));
    continuation(6);
    continuation(0);
  } else {
    text += static_cast<char>(0xF0 | (value >> 18));
    continuation(12);
    continuation(6);
    continuation(0);
  }
}

}  // namespace perdure
