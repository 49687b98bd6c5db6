// SPDX-License-Identifier: Apache-2.0

// Where the program's words go: results to standard output, everything else to standard error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "apps/perdure/terminal/stop_texts.hpp"
#include "core/api/error.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure::app {

// Standard output takes no more: a full disk, a closed pipe, a terminal that is gone.
class OutputError : public Error {
 public:
  using Error::Error;
};

// Held until there is a block of it or flush(). A terminal gets it escaped (escape.hpp), everything
// else byte for byte. Requires: whole characters. Errors: OutputError.
void print(std::string_view text);
// The same never escaped: for control sequences of our own.
void print_raw(std::string_view text);
// Hands to the system what print() still holds. Errors: as print; once it has failed it always
// fails.
void flush();

// Text on standard error at once. One that takes nothing is no reason to stop.
void show(std::string_view text);
// Standard error goes where standard output goes, to one file or pipe: lines of both mix there.
bool errors_follow_output();
// A line of it, escaped; nothing if `quiet`.
void note(std::string_view line, bool quiet = false);
// A new line where the next note() would continue a line of standard output.
void end_open_line();

// Tokens as they come, as text: no character before its last byte, nothing from a stop text on.
class TokenText {
 public:
  // `previous`: the token before the first one.
  TokenText(const Tokenizer& tokenizer, int32_t previous, StopTexts stops = StopTexts())
      : stream_(tokenizer, previous), stops_(std::move(stops)) {}

  // What may be shown now.
  std::string push(int32_t token) { return stops_.push(stream_.push(token)); }
  // What is left of an unfinished character or stop text.
  std::string finish();
  // A stop text has come.
  bool ended() const { return stops_.found(); }
  // It, and what the same token has behind it; "" if none has come.
  const std::string& ending() const { return stops_.found_text(); }

 private:
  TokenStream stream_;
  StopTexts stops_;
};

// "1,234,567".
std::string grouped(int64_t number);
// "12.3 MB", in powers of 1000.
std::string bytes_text(double size_bytes);
// "2026-11-20 11:34:56" in local time.
std::string time_text(int64_t seconds_since_1970);

}  // namespace perdure::app
