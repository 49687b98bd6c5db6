// SPDX-License-Identifier: Apache-2.0

#include "core/base/outside_text.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "core/api/error.hpp"

namespace perdure {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kMark = "\xef\xbb\xbf";

// Letters of UTF-16 have a zero byte each, all at even or all at odd offsets.
bool has_zeros_of_utf16(std::string_view bytes) {
  constexpr size_t kFewest = 4;
  size_t zeros[2] = {};
  for (size_t i = 0; i < bytes.size(); ++i) zeros[i % 2] += bytes[i] == '\0';
  return std::min(zeros[0], zeros[1]) == 0 && bytes.size() >= kFewest &&
         std::max(zeros[0], zeros[1]) * 3 > bytes.size();
}

// Whether all units of four bytes are characters; `first`: where a unit's highest byte stands.
bool is_utf32(std::string_view bytes, size_t first) {
  constexpr uint32_t kLast = 0x10FFFF;
  for (; bytes.size() >= 4; bytes.remove_prefix(4)) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i)
      value = value << 8 | static_cast<unsigned char>(bytes[first == 0 ? i : 3 - i]);
    if (value == 0 || value > kLast) return false;
  }
  return bytes.empty();
}

// "UTF-16" or "UTF-32", by the byte order mark or by zero bytes; "": neither.
std::string_view wide_encoding(std::string_view bytes) {
  constexpr size_t kLooked = 256, kFewest = 8;
  if (bytes.starts_with("\xff\xfe\0\0"sv) || bytes.starts_with("\0\0\xfe\xff"sv)) return "UTF-32";
  if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff")) return "UTF-16";
  bytes = bytes.substr(0, kLooked);
  if (bytes.size() >= kFewest && (is_utf32(bytes, 0) || is_utf32(bytes, 3))) return "UTF-32";
  return has_zeros_of_utf16(bytes) ? "UTF-16" : "";
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
  if (const std::string encoding(wide_encoding(bytes)); !encoding.empty())
    throw Error(name + " is " + encoding +
                " text; convert it to UTF-8, for example with iconv -f " + encoding);
  OutsideText result{std::move(bytes)};
  result.had_mark = result.text.starts_with(kMark);
  if (result.had_mark) result.text.erase(0, kMark.size());
  if (line_ends == LineEnds::kLf) result.had_crlf = join_line_ends(result.text);
  return result;
}

}  // namespace perdure
