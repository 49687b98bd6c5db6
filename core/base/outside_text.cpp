// SPDX-License-Identifier: Apache-2.0

#include "core/base/outside_text.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/api/error.hpp"

namespace perdure {
namespace {

constexpr std::string_view kMark = "\xef\xbb\xbf";

// Letters of UTF-16 have a zero byte each, all at even or all at odd offsets.
bool has_zeros_of_utf16(std::string_view bytes) {
  constexpr size_t kLooked = 256, kFewest = 4;
  bytes = bytes.substr(0, kLooked);
  size_t zeros[2] = {};
  for (size_t i = 0; i < bytes.size(); ++i) zeros[i % 2] += bytes[i] == '\0';
  return std::min(zeros[0], zeros[1]) == 0 && bytes.size() >= kFewest &&
         std::max(zeros[0], zeros[1]) * 3 > bytes.size();
}

bool is_utf16(std::string_view bytes) {
  return bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff") ||
         has_zeros_of_utf16(bytes);
}

bool join_line_ends(std::string& text) {
  size_t size = 0;
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] != '\r' || i + 1 == text.size() || text[i + 1] != '\n') text[size++] = text[i];
  const bool changed = size != text.size();
  text.resize(size);
  return changed;
}

}  // namespace

std::string OutsideText::changes() const {
  const std::string mark = had_mark ? "dropped a byte order mark" : "";
  if (!had_crlf) return mark;
  return mark + (had_mark ? " and " : "") + "read CR LF line ends as LF";
}

OutsideText normalise_text(std::string bytes, const std::string& name, LineEnds line_ends) {
  if (is_utf16(bytes))
    throw Error(name + " is UTF-16 text; convert it to UTF-8, for example with iconv -f UTF-16");
  OutsideText result{std::move(bytes)};
  result.had_mark = result.text.starts_with(kMark);
  if (result.had_mark) result.text.erase(0, kMark.size());
  if (line_ends == LineEnds::kLf) result.had_crlf = join_line_ends(result.text);
  return result;
}

}  // namespace perdure
