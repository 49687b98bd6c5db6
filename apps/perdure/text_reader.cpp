// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/text_reader.hpp"

#include <fmt/format.h>

#include <span>
#include <utility>

#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/model/formats/foreign_file.hpp"

namespace perdure::app {

std::string TextReader::read(const std::string& path) {
  if (path == "-") return take(read_file(path), "standard input");
  std::string bytes = read_file(path);
  refuse_foreign_file(std::as_bytes(std::span(bytes)), path, Wanted::kDocument);
  return take(std::move(bytes), path);
}

std::string TextReader::take(std::string bytes, const std::string& name) {
  OutsideText text = normalise_text(std::move(bytes), name, line_ends_);
  const std::string changes = text.changes();
  const bool has_zeros = text.text.find('\0') != std::string::npos;
  if (changes.empty() && !has_zeros) return std::move(text.text);
  if (!told_.insert(name).second) return std::move(text.text);
  if (!changes.empty())
    note(fmt::format("{}: {}{}", name, changes, text.had_crlf ? " (input.line_ends)" : ""), quiet_);
  if (has_zeros) note(name + ": has zero bytes, so it is probably not a text", quiet_);
  return std::move(text.text);
}

}  // namespace perdure::app
