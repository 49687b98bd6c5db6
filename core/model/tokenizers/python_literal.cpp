// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/python_literal.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "core/api/error.hpp"
#include "core/base/shown_name.hpp"
#include "core/base/utf8.hpp"

namespace perdure {
namespace {

// What stands between the quotes.
class ContentsReader {
 public:
  // `quote`: what must not stand inside; 0: anything may.
  ContentsReader(std::string_view contents, bool is_bytes, char quote, std::string& bytes)
      : rest_(contents), bytes_(bytes), is_bytes_(is_bytes), quote_(quote) {}

  void read() {
    while (!rest_.empty()) {
      const char c = take();
      if (quote_ != 0 && c == quote_) throw Error("a quote inside the token has no backslash");
      if (c == '\\')
        escape();
      else
        bytes_ += c;
    }
  }

 private:
  char take() {
    if (rest_.empty()) throw Error("the token ends inside an escape");
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  void escape() {
    const char c = take();
    if (c == 'n') return bytes_.push_back('\n');
    if (c == 't') return bytes_.push_back('\t');
    if (c == 'r') return bytes_.push_back('\r');
    if (c == '\\' || c == '\'' || c == '"') return bytes_.push_back(c);
    if (c == 'x') return code_point(digits(2));
    if (c == 'u' && !is_bytes_) return code_point(digits(4));
    throw Error("the escape '\\" + shown_name({&c, 1}) + "' is unknown");
  }

  uint32_t digits(size_t count) {
    const std::string_view text = rest_.substr(0, count);
    uint32_t value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.size() < count || status != std::errc() || end != text.data() + count)
      throw Error("an escape needs " + std::to_string(count) + " hexadecimal digits");
    rest_.remove_prefix(count);
    return value;
  }

  void code_point(uint32_t value) {
    if (is_bytes_) {
      bytes_ += static_cast<char>(value);
      return;
    }
    if (!is_code_point(value)) throw Error("an escape names no character");
    append_utf8(value, bytes_);
  }

  std::string_view rest_;
  std::string& bytes_;
  bool is_bytes_;
  char quote_;
};

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

void append_python_literal(std::string_view literal, std::string& bytes) {
  const bool is_bytes = literal.starts_with('b');
  if (is_bytes) literal.remove_prefix(1);
  if (literal.size() < 2 || (literal[0] != '\'' && literal[0] != '"') ||
      literal.back() != literal[0])
    throw Error("the token is not in quotes");
  const std::string_view contents = literal.substr(1, literal.size() - 2);
  if (is_bytes && !is_ascii(contents))
    throw Error("a literal of bytes has a character that is not ASCII");
  ContentsReader(contents, is_bytes, literal[0], bytes).read();
}

void append_escaped_bytes(std::string_view escaped, std::string& bytes) {
  ContentsReader(escaped, true, 0, bytes).read();
}

}  // namespace perdure
