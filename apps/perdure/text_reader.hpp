// SPDX-License-Identifier: Apache-2.0

// The one way by which text from outside comes in: normalised (outside_text.hpp), and what was
// changed is said once for each name.
#pragma once

#include <set>
#include <string>

#include "core/config/settings.hpp"

namespace perdure::app {

class TextReader {
 public:
  // `quiet`: changes are not said.
  TextReader(const Settings& settings, bool quiet) : TextReader(settings.input.line_ends, quiet) {}
  // With kKeep: of token ids, between which CR LF is white space like any other.
  TextReader(LineEnds line_ends, bool quiet) : line_ends_(line_ends), quiet_(quiet) {}

  // The text of a file, or of standard input for "-". Errors: as read_file and normalise_text, and
  // Error for a file of another kind (a model, a picture, a Git LFS pointer).
  std::string read(const std::string& path);
  // A text that is here already. Errors: as normalise_text.
  std::string take(std::string bytes, const std::string& name);

 private:
  LineEnds line_ends_;
  bool quiet_;
  std::set<std::string> told_;
};

}  // namespace perdure::app
