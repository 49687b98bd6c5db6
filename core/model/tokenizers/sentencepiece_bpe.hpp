// SPDX-License-Identifier: Apache-2.0

// Sentencepiece's byte-pair merging by score, from a GGUF file's vocabulary (`llama`): spaces are
// U+2581, characters that the vocabulary lacks become byte tokens.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/model/tokenizers/vocabulary_tokenizer.hpp"

namespace perdure {

class SentencepieceBpe final : public VocabularyTokenizer {
 public:
  // Errors: Error with path and key if scores are missing or do not fit.
  explicit SentencepieceBpe(GgufVocabulary vocabulary);

  // The prefix is a space before a text, if the file wants one. Errors: Error if the vocabulary has
  // neither a character nor its bytes nor a token for what is unknown.
  std::vector<int32_t> encode_text(std::string_view text, bool prefix) const override;
  // After BOS the space of the prefix is dropped.
  std::string_view decode(int32_t previous, int32_t id) const override;

 private:
  void read_bytes();
  void read_texts();
  void encode_part(std::string_view part, size_t offset, bool prefix,
                   std::vector<int32_t>& ids) const;
  void append_bytes(std::string_view character, size_t offset, std::vector<int32_t>& ids) const;

  std::vector<float> scores_;
  std::array<int32_t, 256> byte_ids_;  // -1: none
  bool has_prefix_ = true;
};

}  // namespace perdure
