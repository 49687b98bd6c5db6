// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/jinja/text_tools.hpp"

#include <algorithm>
#include <string>

namespace perdure::jinja {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Beyond ASCII: U+0085, U+00A0, U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000.
bool is_space(std::string_view character) {
  if (character.size() == 1)
    return (character[0] >= '\t' && character[0] <= '\r') ||
           (character[0] >= '\x1c' && character[0] <= ' ');
  constexpr std::string_view kSpaces[] = {
      "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81",
      "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86",
      "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8",
      "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};
  return std::ranges::count(kSpaces, character) > 0;
}

// Where the character that ends before `end` begins.
size_t character_before(std::string_view text, size_t end) {
  for (size_t size = 2; size <= std::min<size_t>(4, end); ++size)
    if (character_at(text, end - size) == size) return end - size;
  return end - 1;
}

// Other letters of the same origins.
template <class Letter>
MarkedText with_letters(Run& run, const MarkedText& text, const Letter& letter) {
  run.work(text.size());
  MarkedText result;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = letter(i, text.text()[i]);
    result.append({&c, 1}, text.origin(i));
  }
  return result;
}

// Bytes of the line end at `at`; 0: none.
size_t line_end(std::string_view text, size_t at) {
  if (text.substr(at).starts_with("\r\n")) return 2;
  const char c = text[at];
  if ((c >= '\n' && c <= '\r') || (c >= '\x1c' && c <= '\x1e')) return 1;
  for (const std::string_view end : {"\xC2\x85", "\xE2\x80\xA8", "\xE2\x80\xA9"})
    if (text.substr(at).starts_with(end)) return end.size();
  return 0;
}

bool is_space_at(std::string_view text, size_t at) {
  return is_space(text.substr(at, character_at(text, at)));
}

struct Piece {
  size_t begin, end;
};

std::vector<Piece> pieces_at_spaces(std::string_view text, int64_t most) {
  std::vector<Piece> pieces;
  size_t at = 0;
  const auto skip = [&](bool space) {
    while (at < text.size() && is_space_at(text, at) == space) at += character_at(text, at);
  };
  for (skip(true); at < text.size(); skip(true)) {
    const size_t begin = at;
    if (most >= 0 && std::ssize(pieces) == most) {
      size_t end = text.size();
      while (is_space_at(text, character_before(text, end))) end = character_before(text, end);
      pieces.push_back({begin, end});
      break;
    }
    skip(false);
    pieces.push_back({begin, at});
  }
  return pieces;
}

std::vector<Piece> pieces_between(std::string_view text, std::string_view separator, int64_t most) {
  std::vector<Piece> pieces;
  size_t begin = 0;
  for (size_t at = text.find(separator); at != text.npos && (most < 0 || std::ssize(pieces) < most);
       at = text.find(separator, begin)) {
    pieces.push_back({begin, at});
    begin = at + separator.size();
  }
  pieces.push_back({begin, text.size()});
  return pieces;
}

std::vector<Piece> pieces_between_from_right(std::string_view text, std::string_view separator,
                                             int64_t most) {
  std::vector<Piece> pieces;
  size_t end = text.size();
  while (end >= separator.size() && (most < 0 || std::ssize(pieces) < most)) {
    const size_t at = text.rfind(separator, end - separator.size());
    if (at == text.npos) break;
    pieces.push_back({at + separator.size(), end});
    end = at;
  }
  pieces.push_back({0, end});
  std::ranges::reverse(pieces);
  return pieces;
}

}  // namespace

MarkedText stripped(Run& run, const MarkedText& text, Ends ends,
                    const std::optional<std::string>& characters) {
  run.work(text.size());
  const std::string_view whole = text.text();
  const auto goes = [&](size_t at) {
    const std::string_view character = whole.substr(at, character_at(whole, at));
    return characters ? characters->find(character) != std::string::npos : is_space(character);
  };
  size_t begin = 0, end = whole.size();
  if (ends != Ends::kRight)
    while (begin < end && goes(begin)) begin += character_at(whole, begin);
  if (ends != Ends::kLeft)
    while (end > begin && goes(character_before(whole, end))) end = character_before(whole, end);
  return text.substr(begin, end - begin);
}

MarkedText in_upper_case(Run& run, MarkedText text) {
  return with_letters(run, text, [](size_t, char c) { return upper(c); });
}
MarkedText in_lower_case(Run& run, MarkedText text) {
  return with_letters(run, text, [](size_t, char c) { return lower(c); });
}
MarkedText capitalized(Run& run, MarkedText text) {
  return with_letters(run, text, [](size_t i, char c) { return i == 0 ? upper(c) : lower(c); });
}

MarkedText titled(Run& run, MarkedText text, bool by_letters) {
  bool begins = true;
  return with_letters(run, text, [&](size_t, char c) {
    const char changed = begins ? upper(c) : lower(c);
    begins = by_letters
                 ? !is_letter(c)
                 : is_space({&c, 1}) || std::string_view("-({[<").find(c) != std::string::npos;
    return changed;
  });
}

MarkedText replaced(Run& run, const MarkedText& text, const std::string& old,
                    const MarkedText& replacement, int64_t most) {
  if (old.empty()) run.fail("replacing an empty string is not supported");
  run.work(text.size());
  MarkedText result;
  size_t begin = 0;
  for (size_t at = text.text().find(old); at != std::string::npos && most != 0;
       at = text.text().find(old, begin), --most) {
    run.work(replacement.size());
    result += text.substr(begin, at - begin);
    result += replacement;
    begin = at + old.size();
  }
  result += text.substr(begin);
  return result;
}

std::vector<Value> split(Run& run, const MarkedText& text,
                         const std::optional<std::string>& separator, int64_t most,
                         bool from_right) {
  if (separator && separator->empty()) run.fail("split() by an empty string is not supported");
  if (from_right && !separator) run.fail("rsplit() without a separator is not supported");
  run.work(text.size());
  const std::vector<Piece> pieces = !separator ? pieces_at_spaces(text.text(), most)
                                    : from_right
                                        ? pieces_between_from_right(text.text(), *separator, most)
                                        : pieces_between(text.text(), *separator, most);
  std::vector<Value> items;
  for (const Piece& piece : pieces)
    items.push_back(make_text(run, text.substr(piece.begin, piece.end - piece.begin)));
  return items;
}

std::vector<MarkedText> lines_of(Run& run, const MarkedText& text) {
  run.work(text.size());
  std::vector<MarkedText> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = line_end(text.text(), at);
    if (end == 0) {
      ++at;
      continue;
    }
    run.work(sizeof(MarkedText));
    lines.push_back(text.substr(begin, at - begin));
    begin = at += end;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

MarkedText indented(Run& run, const MarkedText& text, const std::string& indentation, bool first,
                    bool blank) {
  MarkedText whole = text;
  whole.append("\n", Origin::kTemplate);  // as Jinja, so that a line end at the end counts
  MarkedText result;
  size_t number = 0;
  for (const MarkedText& line : lines_of(run, whole)) {
    run.work(indentation.size() + line.size());
    if (number > 0) result.append("\n", Origin::kTemplate);
    if (number > 0 ? blank || !line.empty() : first) result.append(indentation, Origin::kTemplate);
    result += line;
    ++number;
  }
  return result;
}

}  // namespace perdure::jinja
