// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/words.hpp"

#include <algorithm>

#include "apps/perdure/report/drawing.hpp"

namespace perdure::report {

std::string fitted(const std::string& text, double width, double font_size) {
  constexpr size_t kMost = 120;
  std::string words = shortened(text, kMost);
  for (size_t n = kMost; n > 3 && text_width(words, font_size) > width; --n)
    words = shortened(text, n);
  return words;
}

std::vector<std::string> wrapped(const std::string& sentence, double width, double font_size) {
  std::vector<std::string> lines = {""};
  for (size_t begin = 0; begin < sentence.size();) {
    const size_t end = std::min(sentence.find(' ', begin), sentence.size());
    const std::string word = fitted(sentence.substr(begin, end - begin), width, font_size);
    const std::string joined = lines.back().empty() ? word : lines.back() + " " + word;
    if (text_width(joined, font_size) > width && !lines.back().empty())
      lines.push_back(word);
    else
      lines.back() = joined;
    begin = end + 1;
  }
  return lines;
}

double draw_notes(Markup& shapes, const std::vector<std::string>& notes, double y, double width) {
  for (const std::string& note : notes)
    for (const std::string& line : wrapped(note, width, 12)) {
      draw_text(shapes, 0, y + 12, line, "soft");
      y += 17;
    }
  return y;
}

}  // namespace perdure::report
