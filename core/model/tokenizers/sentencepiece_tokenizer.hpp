// SPDX-License-Identifier: Apache-2.0

// What tokenizers in sentencepiece's manner share: spaces are U+2581, characters that no token has
// become byte tokens or the unknown one.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "core/model/tokenizers/vocabulary_tokenizer.hpp"

namespace perdure {

constexpr std::string_view kSentencepieceSpace = "\xE2\x96\x81";  // U+2581

struct SentencepieceRules {
  bool drops_prefix = true;   // the space of a text's prefix is not part of what it decodes to
  bool fuse_unknown = false;  // unknown characters beside each other are one unknown token
  bool whole_words = false;   // a word that is a token is not merged from its characters
  // U+2581 is a space in user-defined tokens too, and unused ones are taken apart again.
  bool is_model_file = false;
  bool byte_fallback = true;  // byte tokens are used
};

class SentencepieceTokenizer : public VocabularyTokenizer {
 public:
  // After BOS the space of the prefix is dropped.
  std::string_view decode(int32_t previous, int32_t id) const override;

 protected:
  SentencepieceTokenizer(Vocabulary vocabulary, TextRules rules, const SentencepieceRules& pieces);

  const SentencepieceRules& rules() const { return pieces_; }
  // Appends the ids of a character that no token is written as. `first` is how many ids there were
  // before the word. Errors: Error if the vocabulary has neither its bytes nor a token for what is
  // unknown.
  void append_unknown(std::string_view character, size_t offset, size_t first,
                      std::vector<int32_t>& ids) const;

 private:
  void read_bytes();
  void read_texts();

  SentencepieceRules pieces_;
  std::array<int32_t, 256> byte_ids_;  // -1: none
};

}  // namespace perdure
