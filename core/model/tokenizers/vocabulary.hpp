// SPDX-License-Identifier: Apache-2.0

// Tokens by id: what all kinds of vocabularies share, wherever they were read from.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/tokenizers/text_index.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

// More than any vocabulary has; bounds what a file of empty tokens costs.
constexpr int64_t kMostTokens = int64_t{1} << 19;
// The same for the pairs that are merged, and for user-defined tokens, which cost more than others.
constexpr int64_t kMostMerges = int64_t{1} << 19;
constexpr int64_t kMostUserDefined = int64_t{1} << 16;

// What a token is; the numbers are those of GGUF and sentencepiece.
enum class TokenKind : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

// Whether more of them are user-defined than kMostUserDefined.
inline bool too_many_user_defined(std::span<const TokenKind> kinds) {
  return std::ranges::count(kinds, TokenKind::kUserDefined) > kMostUserDefined;
}

// Whether it is "<0x00>" to "<0xFF>", as tokens of bytes are written.
bool is_byte_token(std::string_view token);

struct VocabularyParts {
  std::vector<std::string_view> tokens;   // by id
  std::vector<TokenKind> kinds;           // as many
  int32_t bos = -1;                       // -1: none
  std::vector<int32_t> eos;               // the first is the one that is written
  std::string hash;                       // of all that changes ids
  std::shared_ptr<const void> storage{};  // what the tokens point into, if nobody else keeps it
};

// Immutable; any thread.
class Vocabulary {
 public:
  // Requires: as many kinds as tokens, at most kMostTokens; bos and eos are tokens.
  explicit Vocabulary(VocabularyParts parts);

  int32_t size() const { return static_cast<int32_t>(parts_.tokens.size()); }
  std::string_view token(int32_t id) const { return parts_.tokens[static_cast<size_t>(id)]; }
  TokenKind kind(int32_t id) const { return parts_.kinds[static_cast<size_t>(id)]; }
  // The first token that is written so, of all kinds that a text is made of (normal and
  // user-defined); -1 if there is none.
  int32_t find(std::string_view token) const { return ids_.find(token); }
  int32_t bos() const { return parts_.bos; }  // -1: none
  std::span<const int32_t> eos() const { return parts_.eos; }
  int32_t unknown() const { return unknown_; }  // -1: none
  // Tokens of that kind, and BOS and EOS whatever they are; those without a text are left out.
  std::vector<ControlToken> control_tokens() const;
  const std::string& hash() const { return parts_.hash; }

 private:
  VocabularyParts parts_;
  TextIndex ids_;
  int32_t unknown_ = -1;
};

}  // namespace perdure
