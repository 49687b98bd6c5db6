// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/escape.hpp"

#include <fmt/format.h>

#include <cstdint>

namespace perdure::app {
namespace {

struct Lead {
  size_t size;          // bytes of the character
  uint8_t first, last;  // range of the second byte: no overlong forms, surrogates, C1 controls
};

Lead lead_of(uint8_t byte) {
  if (byte == 0xc2) return {2, 0xa0, 0xbf};
  if (byte > 0xc2 && byte <= 0xdf) return {2, 0x80, 0xbf};
  if (byte >= 0xe0 && byte <= 0xef)
    return {3, static_cast<uint8_t>(byte == 0xe0 ? 0xa0 : 0x80),
            static_cast<uint8_t>(byte == 0xed ? 0x9f : 0xbf)};
  if (byte >= 0xf0 && byte <= 0xf4)
    return {4, static_cast<uint8_t>(byte == 0xf0 ? 0x90 : 0x80),
            static_cast<uint8_t>(byte == 0xf4 ? 0x8f : 0xbf)};
  return {0, 0, 0};
}

// Bytes of the printable character that `text` begins with; 0 if it begins with none.
size_t printable_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80)
    return text[0] == '\n' || text[0] == '\t' || (byte(0) >= 0x20 && byte(0) != 0x7f);
  const Lead lead = lead_of(byte(0));
  if (lead.size == 0 || text.size() < lead.size) return 0;
  if (byte(1) < lead.first || byte(1) > lead.last) return 0;
  for (size_t i = 2; i < lead.size; ++i)
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  return lead.size;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t size = printable_bytes(text);
    if (size > 0)
      result += text.substr(0, size);
    else
      result += fmt::format("\\x{:02x}", static_cast<uint8_t>(text[0]));
    text.remove_prefix(size > 0 ? size : 1);
  }
  return result;
}

}  // namespace perdure::app
