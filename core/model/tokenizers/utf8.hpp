// SPDX-License-Identifier: Apache-2.0

// The little that this room knows of UTF-8.
#pragma once

namespace perdure {

constexpr bool is_utf8_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

}  // namespace perdure
