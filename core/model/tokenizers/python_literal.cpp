// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/python_literal.hpp"

#include <charconv>
#include <cstdint>

#include "core/api/error.hpp"
#include "core/base/shown_name.hpp"
#include "core/model/tokenizers/utf8.hpp"

namespace perdure {
namespace {

class LiteralReader {
 public:
  LiteralReader(std::string_view literal, std::string& bytes) : rest_(literal), bytes_(bytes) {}

  void read() {
    is_bytes_ = rest_.starts_with('b');
    if (is_bytes_) rest_.remove_prefix(1);
    if (rest_.size() < 2 || (rest_[0] != '\'' && rest_[0] != '"') || rest_.back() != rest_[0])
      throw Error("the token is not in quotes");
    const char quote = rest_[0];
    rest_ = rest_.substr(1, rest_.size() - 2);
    while (!rest_.empty()) {
      const char c = take();
      if (c == quote) throw Error("a quote stands inside the token without a backslash");
      if (c == '\\')
        escape();
      else
        plain(c);
    }
  }

 private:
  char take() {
    if (rest_.empty()) throw Error("the token ends inside an escape");
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  void plain(char c) {
    if (is_bytes_ && static_cast<unsigned char>(c) >= 0x80)
      throw Error("a literal of bytes has a character that is not ASCII");
    bytes_ += c;
  }

  void escape() {
    const char c = take();
    if (c == 'n') return plain('\n');
    if (c == 't') return plain('\t');
    if (c == 'r') return plain('\r');
    if (c == '\\' || c == '\'' || c == '"') return plain(c);
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
  bool is_bytes_ = false;
};

}  // namespace

void append_python_literal(std::string_view literal, std::string& bytes) {
  LiteralReader(literal, bytes).read();
}

}  // namespace perdure
