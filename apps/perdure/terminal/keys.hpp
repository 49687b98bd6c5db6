// SPDX-License-Identifier: Apache-2.0

// Bytes of a terminal as the characters that the line editor gets: UTF-8 decoded, and what was
// pasted (between the marks of bracketed paste) as text, so that no control character in it acts.
#pragma once

#include <sys/types.h>

#include <cwchar>
#include <deque>
#include <functional>

namespace perdure::app {

class Keys {
 public:
  // `read`: the next byte; 1, 0 at the end, -1 on an error.
  explicit Keys(std::function<ssize_t(char& byte)> read) : read_(std::move(read)) {}

  // The next character: 1, or what `read` gave.
  int next(wchar_t& character);

 private:
  ssize_t read_byte(char& byte);
  int read_mark();
  bool decode(char byte, wchar_t& character);
  void put(wchar_t character);

  std::function<ssize_t(char&)> read_;
  std::deque<char> bytes_;     // read ahead, to be decoded
  std::deque<wchar_t> ready_;  // decoded
  std::mbstate_t state_ = {};
  bool pasting_ = false, after_return_ = false;
};

}  // namespace perdure::app
