// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/keys.hpp"

#include <string_view>

namespace perdure::app {
namespace {

constexpr char kEscape = '\033';
constexpr wchar_t kQuote = L'\x16';  // Ctrl-V: the editor takes the next character literally
constexpr std::string_view kPasteBegin = "\033[200~", kPasteEnd = "\033[201~";

bool is_control(wchar_t c) { return c < 0x20 || c == 0x7f; }

}  // namespace

int Keys::next(wchar_t& character) {
  while (ready_.empty()) {
    char byte = 0;
    const ssize_t n = read_byte(byte);
    if (n <= 0) return static_cast<int>(n);
    if (byte == kEscape && read_mark() > 0) continue;
    wchar_t decoded = 0;
    if (decode(byte, decoded)) put(decoded);
  }
  character = ready_.front();
  ready_.pop_front();
  return 1;
}

ssize_t Keys::read_byte(char& byte) {
  if (bytes_.empty()) return read_(byte);
  byte = bytes_.front();
  bytes_.pop_front();
  return 1;
}

// After an escape: 1 if it begins the mark that is due. Otherwise what was read of it comes again.
int Keys::read_mark() {
  const std::string_view mark = pasting_ ? kPasteEnd : kPasteBegin;
  for (size_t i = 1; i < mark.size(); ++i) {
    char byte = 0;
    const bool more = read_byte(byte) > 0;
    if (more && byte == mark[i]) continue;
    if (more) bytes_.push_front(byte);
    for (size_t back = i; back-- > 1;) bytes_.push_front(mark[back]);
    return 0;
  }
  pasting_ = !pasting_;
  return 1;
}

// A byte that continues no character is looked at again as the first one of another.
bool Keys::decode(char byte, wchar_t& character) {
  const bool first = std::mbsinit(&state_) != 0;
  const size_t result = std::mbrtowc(&character, &byte, 1, &state_);
  if (result == 0 || result == 1) return true;
  if (result != static_cast<size_t>(-1)) return false;
  state_ = {};
  return !first && decode(byte, character);
}

// Terminals send a pasted line end as CR, LF or both.
void Keys::put(wchar_t character) {
  const bool second = pasting_ && after_return_ && character == L'\n';
  after_return_ = pasting_ && character == L'\r';
  if (second) return;
  if (pasting_ && is_control(character)) ready_.push_back(kQuote);
  ready_.push_back(after_return_ ? L'\n' : character);
}

}  // namespace perdure::app
