// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/jinja/lexer.hpp"

#include <algorithm>
#include <cstdint>

#include "core/base/utf8.hpp"
#include "core/model/templates/jinja/run.hpp"

namespace perdure::jinja {
namespace {

constexpr std::string_view kSpace = " \t\n\r\f\v";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_begin(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_name_part(char c) { return is_name_begin(c) || is_digit(c); }

// Line ends as LF, the last one left out.
std::string with_plain_lines(std::string_view source) {
  std::string text;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
    text += source[i] == '\r' ? '\n' : source[i];
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

// Longest first.
constexpr std::string_view kOperators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "*",
                                           "/",  "%",  "~",  ">",  "<",  "=",  ".", ":", "|",
                                           ",",  ";",  "(",  ")",  "[",  "]",  "{", "}"};

class Lexer {
 public:
  Lexer(std::string_view source, std::string_view name)
      : source_(with_plain_lines(source)), name_(name) {}

  std::vector<Token> template_tokens() {
    while (at_ < source_.size()) read_text();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

  std::vector<Token> expression_tokens() {
    for (skip_space(); at_ < source_.size(); skip_space()) read_token();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { fail_at(name_, line_, what); }
  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  char look(size_t ahead) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }
  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, line_, std::move(text)}); }

  void advance(size_t count) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + count),
                                         '\n'));
    at_ += count;
  }
  void skip_space() {
    const size_t end = std::min(rest().find_first_not_of(kSpace), rest().size());
    advance(end);
  }

  // Where the next tag begins, or the end.
  size_t find_tag() const {
    for (size_t at = source_.find('{', at_); at != source_.npos; at = source_.find('{', at + 1))
      if (at + 1 < source_.size() &&
          std::string_view("{%#").find(source_[at + 1]) != std::string::npos)
        return at;
    return source_.size();
  }

  void read_text() {
    const size_t tag = find_tag();
    std::string_view text = rest().substr(0, tag - at_);
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    if (tag < source_.size() && sign == '-')
      text = text.substr(0, text.find_last_not_of(kSpace) + 1);
    else if (tag < source_.size() && sign != '+' && source_[tag + 1] != '{')
      text = without_indentation(text);
    if (!text.empty()) add(TokenKind::kText, std::string(text));
    advance(tag - at_);
    if (at_ < source_.size()) read_tag();
  }

  // lstrip_blocks: white space between the begin of the line and the tag.
  std::string_view without_indentation(std::string_view text) const {
    const size_t line = text.rfind('\n') + 1;
    if (line == 0 && !line_begins_) return text;
    const bool blank = text.substr(line).find_first_not_of(kSpace) == text.npos;
    return blank ? text.substr(0, line) : text;
  }

  void read_tag() {
    const int begin = line_;
    const char kind = look(1);
    advance(2);
    if (kind == '#') return skip_comment();
    if (look(0) == '-' || look(0) == '+') advance(1);
    const std::string_view end = kind == '{' ? "}}" : "%}";
    add(kind == '{' ? TokenKind::kPrintBegin : TokenKind::kBlockBegin, "");
    while (!read_tag_end(end)) {
      if (at_ == source_.size())
        fail_at(name_, begin, "the tag that begins here has no end '" + std::string(end) + "'");
      read_token();
      skip_space();
    }
  }

  void skip_comment() {
    const size_t end = source_.find("#}", at_);
    if (end == source_.npos) fail("the comment that begins here has no end '#}'");
    advance(end - at_);
    finish_tag(source_[at_ - 1], true);
  }

  // True, and the tag is left, if its end is here.
  bool read_tag_end(std::string_view end) {
    skip_space();
    if (!brackets_.empty()) return false;
    const bool has_sign = look(0) == '-' || (look(0) == '+' && end == "%}");
    if (!rest().substr(has_sign ? 1 : 0).starts_with(end)) return false;
    add(end == "}}" ? TokenKind::kPrintEnd : TokenKind::kBlockEnd, "");
    const char sign = has_sign ? look(0) : ' ';
    if (has_sign) advance(1);
    finish_tag(sign, end == "%}");
    return true;
  }

  // At the two bytes that end a tag: these, and the white space that it takes with it.
  void finish_tag(char sign, bool trims_line_end) {
    advance(2);
    if (sign == '-')
      skip_space();
    else if (sign != '+' && trims_line_end && look(0) == '\n')
      advance(1);
    line_begins_ = source_[at_ - 1] == '\n';
  }

  void read_token() {
    const char c = look(0);
    if (c == '\'' || c == '"') return read_string(c);
    if (is_digit(c)) return read_number();
    if (is_name_begin(c)) return read_name();
    for (const std::string_view sign : kOperators)
      if (rest().starts_with(sign)) return read_operator(sign);
    fail("'" + shown({&c, 1}) + "' is not expected here");
  }

  void read_name() {
    size_t size = 1;
    while (is_name_part(look(size))) ++size;
    add(TokenKind::kName, std::string(rest().substr(0, size)));
    advance(size);
  }

  // 12, 1_000, 0.5, 1e3.
  void read_number() {
    size_t size = 0;
    bool is_real = false;
    const auto digits = [&] {
      while (is_digit(look(size)) || (look(size) == '_' && is_digit(look(size + 1)))) ++size;
    };
    digits();
    if (look(size) == '.' && is_digit(look(size + 1))) {
      is_real = true;
      ++size;
      digits();
    }
    const size_t sign = look(size + 1) == '-' || look(size + 1) == '+' ? 2 : 1;
    if ((look(size) == 'e' || look(size) == 'E') && is_digit(look(size + sign))) {
      is_real = true;
      size += sign;
      digits();
    }
    std::string text(rest().substr(0, size));
    std::erase(text, '_');
    add(is_real ? TokenKind::kReal : TokenKind::kInteger, std::move(text));
    advance(size);
  }

  void read_operator(std::string_view sign) {
    constexpr std::string_view kOpen = "([{", kClosed = ")]}";
    if (sign.size() == 1 && kOpen.find(sign[0]) != kOpen.npos) brackets_ += sign[0];
    if (const size_t kind = sign.size() == 1 ? kClosed.find(sign[0]) : kClosed.npos;
        kind != kClosed.npos) {
      if (brackets_.empty() || brackets_.back() != kOpen[kind])
        fail("'" + std::string(sign) + "' closes nothing that was opened");
      brackets_.pop_back();
    }
    add(TokenKind::kOperator, std::string(sign));
    advance(sign.size());
  }

  void read_string(char quote) {
    const int begin = line_;
    std::string text;
    advance(1);
    while (look(0) != quote) {
      if (at_ >= source_.size()) fail_at(name_, begin, "the string that begins here has no end");
      if (look(0) == '\\')
        read_escape(text);
      else
        text += look(0), advance(1);
    }
    advance(1);
    tokens_.push_back({TokenKind::kString, begin, std::move(text)});
  }

  // As Python reads them; an unknown one stands for itself.
  void read_escape(std::string& text) {
    constexpr std::string_view kFrom = "nrtabfv\\'\"", kTo = "\n\r\t\a\b\f\v\\'\"";
    const char c = look(1);
    const size_t known = c == '\0' ? kFrom.npos : kFrom.find(c);
    if (c == 'x' || c == 'u' || c == 'U')
      return read_code_point(c == 'x' ? 2 : c == 'u' ? 4 : 8, text);
    if (known != kFrom.npos) {
      text += kTo[known];
      advance(2);
    } else if (c == '\n') {
      advance(2);
    } else {
      text += '\\';
      advance(1);
    }
  }

  void read_code_point(size_t digits, std::string& text) {
    uint32_t value = 0;
    for (size_t i = 0; i < digits; ++i) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      const char c = look(2 + i);
      const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
      const size_t digit = lower == '\0' ? kDigits.npos : kDigits.find(lower);
      if (digit == kDigits.npos || value > 0xffffff)
        fail("the escape in this string is not one of a character");
      value = value << 4 | static_cast<uint32_t>(digit);
    }
    if (!is_code_point(value)) fail("the escape in this string is not one of a character");
    append_utf8(value, text);
    advance(2 + digits);
  }

  std::string source_;
  std::string_view name_;
  std::vector<Token> tokens_;
  std::string brackets_;  // that are open in this tag
  size_t at_ = 0;
  int line_ = 1;
  bool line_begins_ = true;  // what was read last ended a line
};

void require_size(std::string_view source, std::string_view name) {
  if (source.size() > kMostTemplateBytes)
    fail_at(name, 1,
            "a chat template takes at most " + std::to_string(kMostTemplateBytes) +
                " bytes, and this one " + std::to_string(source.size()));
}

}  // namespace

std::vector<Token> take_apart(std::string_view source, std::string_view name) {
  require_size(source, name);
  return Lexer(source, name).template_tokens();
}

std::vector<Token> take_expression_apart(std::string_view source, std::string_view name) {
  require_size(source, name);
  return Lexer(source, name).expression_tokens();
}

}  // namespace perdure::jinja
