// SPDX-License-Identifier: Apache-2.0

// What sentencepiece's tokenizer.model says: tokens and how a text is normalised. It is a message
// of protobuf; only the fields that change ids or what they decode to are read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/tokenizers/vocabulary.hpp"

namespace perdure {

struct SentencepieceModel {
  enum class Kind { kUnigram = 1, kBpe = 2 };

  Kind kind = Kind::kUnigram;
  std::vector<std::string_view> tokens;
  std::vector<float> scores;
  std::vector<TokenKind> kinds;
  bool byte_fallback = false;
  std::string_view bos = "<s>", eos = "</s>";  // as they are written
  // Of the normaliser.
  std::string_view charsmap;  // "": characters stay
  size_t charsmap_at = 0;     // byte offset in the file
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
};

// Views are into `bytes`. Errors: Error with path and byte offset for what is malformed or
// contradicts itself, and by name for models of words and characters and what else is not
// supported.
SentencepieceModel read_sentencepiece_model(std::span<const std::byte> bytes,
                                            const std::string& path);

// Whether a file begins as such models do.
bool is_sentencepiece_model(std::span<const std::byte> file);

}  // namespace perdure
