// SPDX-License-Identifier: Apache-2.0

// Utf8Stream of tokenizer.hpp.
#include <algorithm>
#include <utility>

#include "core/base/utf8.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {
namespace {

// Bytes of the character that begins with `lead`; 0 if none does.
size_t character_bytes(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

// Whether `second` may follow `lead`: no overlong forms, surrogates, or values past U+10FFFF.
bool may_follow(unsigned char lead, unsigned char second) {
  const unsigned char lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  return second >= lowest && second <= highest;
}

// How many bytes at the end of `text` begin a character that more bytes could complete: 0 to 3.
size_t unfinished_bytes(std::string_view text) {
  for (size_t n = 1; n <= std::min<size_t>(3, text.size()); ++n) {
    const std::string_view tail = text.substr(text.size() - n);
    if (is_utf8_continuation(tail[0])) continue;
    const auto lead = static_cast<unsigned char>(tail[0]);
    const bool possible = n < 2 || may_follow(lead, static_cast<unsigned char>(tail[1]));
    return n < character_bytes(lead) && possible ? n : 0;
  }
  return 0;
}

}  // namespace

std::string Utf8Stream::push(std::string_view bytes) {
  pending_ += bytes;
  const size_t ready = pending_.size() - unfinished_bytes(pending_);
  std::string shown = pending_.substr(0, ready);
  pending_.erase(0, ready);
  return shown;
}

std::string Utf8Stream::flush() { return std::exchange(pending_, {}); }

}  // namespace perdure
