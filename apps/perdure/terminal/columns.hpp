// SPDX-License-Identifier: Apache-2.0

// Texts that grow side by side on a terminal: wrapping by the width that characters have there, and
// the rows of a table made of it. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::app {

// Cells of a terminal that UTF-8 text takes: 2 for wide characters, 0 for combining ones. Bytes
// that are no UTF-8 take one each.
size_t display_width(std::string_view text);

// `text` cut or filled up with spaces to `width` cells.
std::string fitted(std::string_view text, size_t width);

// Text as it comes, in lines of at most `width` cells, broken between words where there are any.
// Control characters do not get through: tabs become spaces.
class WrappedText {
 public:
  // Requires: width >= 2, which the widest character takes.
  explicit WrappedText(size_t width) : width_(width) {}

  // Requires: whole characters.
  void append(std::string_view text);
  // All lines; the last one may still change.
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  void put(std::string_view character, size_t width);
  void break_line();

  size_t width_;
  std::vector<std::string> lines_{""};
  size_t used_ = 0;  // cells of the last line
};

// Row `index` of columns of `width` cells, lines that are not there yet left empty.
std::string columns_row(const std::vector<WrappedText>& columns, size_t index, size_t width);

}  // namespace perdure::app
