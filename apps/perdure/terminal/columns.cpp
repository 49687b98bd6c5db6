// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/columns.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "core/base/escape.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure::app {
namespace {

struct Range {
  uint32_t first, last;
};

// The blocks of Unicode's EastAsianWidth.txt whose characters are wide, and emoji.
constexpr std::array kWide = {
    Range{0x1100, 0x115f},   Range{0x2e80, 0x303e},   Range{0x3041, 0x4dbf},
    Range{0x4e00, 0xa4cf},   Range{0xa960, 0xa97f},   Range{0xac00, 0xd7a3},
    Range{0xf900, 0xfaff},   Range{0xfe30, 0xfe6f},   Range{0xff00, 0xff60},
    Range{0xffe0, 0xffe6},   Range{0x1f300, 0x1f64f}, Range{0x1f680, 0x1f6ff},
    Range{0x1f900, 0x1f9ff}, Range{0x20000, 0x3fffd}};
// Combining marks, joiners, variation selectors.
constexpr std::array kZero = {Range{0x0300, 0x036f}, Range{0x0483, 0x0489}, Range{0x0591, 0x05bd},
                              Range{0x064b, 0x065f}, Range{0x1ab0, 0x1aff}, Range{0x1dc0, 0x1dff},
                              Range{0x200b, 0x200f}, Range{0x20d0, 0x20ff}, Range{0xfe00, 0xfe0f},
                              Range{0xfe20, 0xfe2f}};

template <size_t N>
bool contains(const std::array<Range, N>& ranges, uint32_t point) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [=](Range r) { return r.first <= point && point <= r.last; });
}

size_t width_of(uint32_t point) {
  if (contains(kZero, point)) return 0;
  return contains(kWide, point) ? 2 : 1;
}

struct Character {
  std::string_view bytes;
  uint32_t point;
};

// Takes the first character off; a byte that starts none stands for itself.
Character take_character(std::string_view& text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  const size_t wanted = lead < 0x80       ? 1
                        : lead >> 5 == 6  ? 2
                        : lead >> 4 == 14 ? 3
                        : lead >> 3 == 30 ? 4
                                          : 1;
  uint32_t point = wanted == 1 ? lead : lead & (0x7fu >> wanted);
  size_t size = 1;
  while (size < wanted && size < text.size() && (byte(size) & 0xc0) == 0x80)
    point = point << 6 | (byte(size++) & 0x3f);
  if (size < wanted) point = '?', size = 1;
  const Character character{text.substr(0, size), point};
  text.remove_prefix(size);
  return character;
}

}  // namespace

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) width += width_of(take_character(text).point);
  return width;
}

std::string fitted(std::string_view text, size_t width) {
  std::string result;
  size_t used = 0;
  while (!text.empty()) {
    const Character c = take_character(text);
    if (used + width_of(c.point) > width) break;
    used += width_of(c.point);
    result += c.bytes;
  }
  return result + std::string(width - used, ' ');
}

void WrappedText::append(std::string_view text) {
  while (!text.empty()) {
    const Character c = take_character(text);
    if (c.point == '\n')
      lines_.emplace_back(), used_ = 0;
    else if (c.point == '\t')
      put(" ", 1);
    else if (const std::string shown = escaped(c.bytes); shown == c.bytes)
      put(c.bytes, width_of(c.point));
    else
      put(shown, shown.size());
  }
}

void WrappedText::put(std::string_view character, size_t width) {
  if (used_ + width > width_) {
    if (character == " ") {  // the break stands for it
      lines_.emplace_back(), used_ = 0;
      return;
    }
    break_line();
  }
  lines_.back() += character;
  used_ += width;
}

// A new line that begins with the word that does not fit, unless that fills the line itself.
void WrappedText::break_line() {
  std::string& line = lines_.back();
  const size_t space = line.rfind(' ');
  std::string word;
  if (space != std::string::npos) {
    word = line.substr(space + 1);
    line.resize(space);
  }
  used_ = display_width(word);
  lines_.push_back(std::move(word));
}

std::string columns_row(const std::vector<WrappedText>& columns, size_t index, size_t width) {
  std::string row;
  for (const WrappedText& column : columns) {
    if (&column != &columns.front()) row += " | ";
    row += fitted(index < column.lines().size() ? column.lines()[index] : "", width);
  }
  return row.substr(0, row.find_last_not_of(' ') + 1);
}

}  // namespace perdure::app
