// SPDX-License-Identifier: Apache-2.0

// Lines from the user: edited and remembered on a terminal, plain elsewhere.
#pragma once

#include <memory>
#include <string>

#include "apps/perdure/text_reader.hpp"

namespace perdure::app {

class LineInput {
 public:
  enum class Result { kLine, kInterrupted, kEnd };

  virtual ~LineInput() = default;

  // Shows the prompt and waits for a line, which comes without its end. kInterrupted: Ctrl-C (see
  // interrupt.hpp). A last line without an end is a line. A line that is there comes also if
  // standard output takes no more, which the next flush() then says. Errors: OutputError if it does
  // not and none is there.
  virtual Result read(const std::string& prompt, std::string& line) = 0;
};

// Line editing with history if standard input and output are terminals: there a pasted text is one
// line with new lines in it. Otherwise lines as they come, normalised by `reader` (borrowed),
// written behind the prompt so that the output is a transcript. `history`: a file, made where it is
// missing.
std::unique_ptr<LineInput> open_line_input(const std::string& history, TextReader& reader);

// perdure/history below $XDG_STATE_HOME or ~/.local/state. Empty if there is no home.
std::string history_path();

}  // namespace perdure::app
