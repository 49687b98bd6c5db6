// SPDX-License-Identifier: Apache-2.0

// A place in a template's tokens, for the parsers: what comes next, and what had to come.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/templates/jinja/lexer.hpp"

namespace perdure::jinja {

class TokenReader {
 public:
  // Requires: the last token is kEnd, and `name` outlives the reader.
  TokenReader(std::vector<Token> tokens, std::string_view name)
      : tokens_(std::move(tokens)), name_(name) {}

  const Token& next() const { return tokens_[at_]; }
  const Token& after_next() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  int line() const { return next().line; }
  Token take() {
    Token token = next();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  // True, and it is taken, if it comes next.
  bool take_if(TokenKind kind, std::string_view word = {}) {
    const bool found = next().kind == kind && (word.empty() || next().text == word);
    if (found) take();
    return found;
  }
  bool take_operator(std::string_view word) { return take_if(TokenKind::kOperator, word); }
  bool take_name(std::string_view word) { return take_if(TokenKind::kName, word); }

  // Errors of the following: UsageError naming the line of what is there instead.
  void require_operator(std::string_view word);
  std::string require_name(std::string_view what);
  void require(TokenKind kind, std::string_view what);
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail_unexpected(std::string_view wanted) const;

 private:
  friend class Nested;

  std::vector<Token> tokens_;
  std::string_view name_;
  size_t at_ = 0;
  int nesting_ = 0;
};

// One level of brackets or blocks, as long as it lives. Errors: UsageError if there are too many.
class Nested {
 public:
  explicit Nested(TokenReader& tokens);
  ~Nested() { --tokens_.nesting_; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;

 private:
  TokenReader& tokens_;
};

}  // namespace perdure::jinja
