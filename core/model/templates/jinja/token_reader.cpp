// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/jinja/token_reader.hpp"

#include "core/model/templates/jinja/run.hpp"

namespace perdure::jinja {
namespace {

std::string described(const Token& token) {
  switch (token.kind) {
    case TokenKind::kText:
      return "text";
    case TokenKind::kPrintBegin:
      return "'{{'";
    case TokenKind::kPrintEnd:
      return "'}}'";
    case TokenKind::kBlockBegin:
      return "'{%'";
    case TokenKind::kBlockEnd:
      return "'%}'";
    case TokenKind::kEnd:
      return "the end";
    case TokenKind::kString:
      return "the string '" + shown(token.text) + "'";
    default:
      return "'" + shown(token.text) + "'";
  }
}

}  // namespace

void TokenReader::require_operator(std::string_view word) {
  if (!take_operator(word)) fail_unexpected("'" + std::string(word) + "'");
}

std::string TokenReader::require_name(std::string_view what) {
  if (next().kind != TokenKind::kName) fail_unexpected(what);
  return take().text;
}

void TokenReader::require(TokenKind kind, std::string_view what) {
  if (!take_if(kind)) fail_unexpected(what);
}

void TokenReader::fail(const std::string& what) const { fail_at(name_, line(), what); }

void TokenReader::fail_unexpected(std::string_view wanted) const {
  fail(std::string(wanted) + " is expected before " + described(next()));
}

Nested::Nested(TokenReader& tokens) : tokens_(tokens) {
  if (tokens_.nesting_ >= kMostNesting)
    tokens_.fail("blocks or brackets are nested deeper than " + std::to_string(kMostNesting) +
                 " levels");
  ++tokens_.nesting_;
}

}  // namespace perdure::jinja
