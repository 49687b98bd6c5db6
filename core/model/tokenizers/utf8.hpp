// SPDX-License-Identifier: Apache-2.0

// The little that this room knows of UTF-8.
#pragma once

#include <cstdint>
#include <string>

namespace perdure {

constexpr bool is_utf8_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// Whether it may stand in a text: no surrogate, not past U+10FFFF.
constexpr bool is_code_point(uint32_t value) {
  return value < 0xD800 || (value > 0xDFFF && value <= 0x10FFFF);
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
