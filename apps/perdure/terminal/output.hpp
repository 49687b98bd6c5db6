// SPDX-License-Identifier: Apache-2.0

// Where the program's words go: results to standard output, everything else to standard error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/api/error.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure::app {

// Standard output takes no more: a full disk, a closed pipe, a terminal that is gone.
class OutputError : public Error {
 public:
  using Error::Error;
};

// Held until there is a block of it or flush(). Errors: OutputError.
void print(std::string_view text);
// Hands to the system what print() still holds. Errors: as print.
void flush();

// Text on standard error at once. One that takes nothing is no reason to stop.
void show(std::string_view text);
// A line of it; nothing if `quiet`.
void note(std::string_view line, bool quiet = false);

// Prints tokens as they come: decoded, and no character before its last byte.
class TokenPrinter {
 public:
  // `previous`: the token before the first one printed.
  TokenPrinter(const Tokenizer& tokenizer, int32_t previous) : stream_(tokenizer, previous) {}

  void print(int32_t token);
  // What is left of an unfinished character.
  void finish();

 private:
  TokenStream stream_;
};

// "1,234,567".
std::string grouped(int64_t number);
// "12.3 MB", in powers of 1000.
std::string bytes_text(double size_bytes);
// "2026-11-20 11:34:56" in local time.
std::string time_text(int64_t seconds_since_1970);

}  // namespace perdure::app
