// SPDX-License-Identifier: Apache-2.0

// GPT-2's byte-level pair merging from a GGUF file's vocabulary (`gpt2`): a text is taken apart by
// the pattern that `tokenizer.ggml.pre` names, then bytes are merged by rank.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/model/tokenizers/text_pattern.hpp"
#include "core/model/tokenizers/vocabulary_tokenizer.hpp"

namespace perdure {

class ByteLevelBpe final : public VocabularyTokenizer {
 public:
  // Errors: Error with path and key for a pattern that is not known and for merges that are
  // missing or of tokens that the vocabulary has not.
  explicit ByteLevelBpe(GgufVocabulary vocabulary);

  // There is no prefix. Errors: Error with the byte offset of a byte that the vocabulary has not.
  std::vector<int32_t> encode_text(std::string_view text, bool prefix) const override;
  std::string_view decode(int32_t, int32_t id) const override { return text_of(id); }

 private:
  struct Merge {
    int32_t rank, id;
  };

  void choose_patterns();
  void read_texts();
  void read_merges();
  void take_apart(std::string_view part, size_t pattern,
                  std::vector<std::string_view>& words) const;
  void encode_word(std::string_view word, size_t offset, std::vector<int32_t>& ids) const;

  std::vector<TextPattern> patterns_;  // each takes the pieces of the one before apart
  bool whole_words_ = false;           // a word that is a token is not merged from its bytes
  std::array<int32_t, 256> byte_ids_;  // -1: none
  std::unordered_map<uint64_t, Merge> merges_;           // by the ids of both neighbours
  std::unordered_map<std::string_view, int32_t> words_;  // tokens by what they decode to
};

}  // namespace perdure
