// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/text_reader.hpp"

#include <fmt/format.h>

#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/output.hpp"

namespace perdure::app {

std::string TextReader::read(const std::string& path) {
  return take(read_file(path), path == "-" ? "standard input" : path);
}

std::string TextReader::take(std::string bytes, const std::string& name) {
  OutsideText text = normalise_text(std::move(bytes), name, line_ends_);
  const std::string changes = text.changes();
  if (!changes.empty() && told_.insert(name).second)
    note(fmt::format("{}: {}{}", name, changes, text.had_crlf ? " (input.line_ends)" : ""), quiet_);
  return std::move(text.text);
}

}  // namespace perdure::app
