// SPDX-License-Identifier: Apache-2.0

// How sentencepiece makes of a text what its tokens are written in: a map of characters, and
// spaces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/tokenizers/added_tokens.hpp"
#include "core/model/tokenizers/sentencepiece_model.hpp"
#include "core/model/tokenizers/text_steps.hpp"

namespace perdure {

// A precompiled_charsmap: a double array as darts-clone writes it, and the texts that it leads to.
// Immutable; any thread.
class SentencepieceCharsmap {
 public:
  // `map`: "" maps nothing. Errors: Error with path and byte offset.
  SentencepieceCharsmap(std::string_view map, size_t offset, const std::string& path);

  // What the longest beginning of `text` that is mapped becomes, and its size; 0: none is.
  std::pair<std::string_view, size_t> longest(std::string_view text) const;

 private:
  std::vector<uint32_t> units_;
  std::string texts_;  // each ends with a zero byte
};

// Immutable; any thread.
class SentencepieceNormalizer final : public TextRewriter {
 public:
  // `model` is not kept, but what its views point into must outlive this. `user_defined`: tokens
  // that stay as they are written. Errors: as SentencepieceCharsmap.
  SentencepieceNormalizer(const SentencepieceModel& model, AddedTokens user_defined,
                          const std::string& path);

  // A text that begins nowhere keeps a space at its begin.
  std::string rewrite(std::string_view text, Begins begins) const override;

 private:
  std::pair<std::string_view, size_t> first_piece(std::string_view text) const;
  std::string_view space() const;

  AddedTokens user_defined_;
  SentencepieceCharsmap charsmap_;
  bool keeps_bytes_, adds_prefix_, removes_spaces_, escapes_;
};

}  // namespace perdure
