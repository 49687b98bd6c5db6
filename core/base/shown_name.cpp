// SPDX-License-Identifier: Apache-2.0

#include "core/base/shown_name.hpp"

#include "core/base/escape.hpp"
#include "core/base/utf8.hpp"

namespace perdure {
namespace {

// The longest part of `text` with at most `most` bytes that ends with a whole character.
std::string_view beginning(std::string_view text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = 0;
  for (size_t next = 0; next <= most; next += utf8_character(text.substr(next))) end = next;
  return text.substr(0, end);
}

// Unlike texts, names have no lines.
std::string one_line(std::string text) {
  const auto replace = [&](char c, const char* shown) {
    for (size_t at; (at = text.find(c)) != std::string::npos;) text.replace(at, 1, shown);
  };
  replace('\n', "\\x0a");
  replace('\t', "\\x09");
  return text;
}

}  // namespace

std::string shown_name(std::string_view name) {
  constexpr size_t kMost = 80;
  const std::string shown = one_line(escaped(beginning(name, kMost)));
  return name.size() > kMost ? shown + "..." : shown;
}

}  // namespace perdure
