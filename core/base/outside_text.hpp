// SPDX-License-Identifier: Apache-2.0

// Text from outside (prompts, documents, tasks) as models expect it: no byte order mark, lines
// ending in LF, and nothing that is really UTF-16 or UTF-32.
#pragma once

#include <string>

namespace perdure {

enum class LineEnds { kLf, kKeep };

struct OutsideText {
  std::string text;
  bool had_mark = false;  // a UTF-8 byte order mark was dropped
  bool had_crlf = false;  // CR LF became LF

  // "dropped a byte order mark and read CR LF line ends as LF"; "" if nothing was changed.
  std::string changes() const;
};

// `name` stands for the text in messages. Errors: Error that names UTF-16 and UTF-32,
// recognised by their byte order marks or by the zero bytes of plain letters.
OutsideText normalise_text(std::string bytes, const std::string& name, LineEnds line_ends);

}  // namespace perdure
