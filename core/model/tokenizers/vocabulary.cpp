// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/vocabulary.hpp"

#include <algorithm>
#include <utility>

namespace perdure {

bool is_byte_token(std::string_view token) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return token.size() == 6 && token.starts_with("<0x") && is_digit(token[3]) &&
         is_digit(token[4]) && token[5] == '>';
}

Vocabulary::Vocabulary(VocabularyParts parts) : parts_(std::move(parts)) {
  ids_.reserve(parts_.tokens.size());
  for (int32_t id = 0; id < size(); ++id)
    if (kind(id) == TokenKind::kNormal || kind(id) == TokenKind::kUserDefined)
      ids_.add(token(id), id);
  const auto unknown = std::ranges::find(parts_.kinds, TokenKind::kUnknown);
  if (unknown != parts_.kinds.end())
    unknown_ = static_cast<int32_t>(unknown - parts_.kinds.begin());
}

std::vector<ControlToken> Vocabulary::control_tokens() const {
  std::vector<ControlToken> tokens;
  for (int32_t id = 0; id < size(); ++id) {
    const bool is_end = std::ranges::count(parts_.eos, id) > 0;
    if (!token(id).empty() && (kind(id) == TokenKind::kControl || id == bos() || is_end))
      tokens.push_back({std::string(token(id)), id});
  }
  return tokens;
}

}  // namespace perdure
