// SPDX-License-Identifier: Apache-2.0

// A template's text taken apart into tokens, with the white space that tags take away already gone:
// as transformers sets Jinja up (trim_blocks, lstrip_blocks, no line end at the end).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace perdure::jinja {

enum class TokenKind {
  kText,
  kPrintBegin,
  kPrintEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kReal,
  kOperator,
  kEnd
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  int line = 1;
  std::string text = {};  // of a string what it means, else as it is written

  bool is(TokenKind wanted, std::string_view word) const { return kind == wanted && text == word; }
  bool is_name(std::string_view word) const { return is(TokenKind::kName, word); }
  bool is_operator(std::string_view word) const { return is(TokenKind::kOperator, word); }
};

// The last one is kEnd. `name` stands for the template in messages. Errors: UsageError naming the
// line of what cannot be taken apart, or if the template is too large.
std::vector<Token> take_apart(std::string_view source, std::string_view name);
// The same of an expression without tags around it.
std::vector<Token> take_expression_apart(std::string_view source, std::string_view name);

}  // namespace perdure::jinja
