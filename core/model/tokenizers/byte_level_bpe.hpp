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

#include "core/model/tokenizers/gguf_vocabulary.hpp"
#include "core/model/tokenizers/text_pattern.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

class ByteLevelBpe final : public Tokenizer {
 public:
  // Errors: Error with path and key for a pattern that is not known and for merges that are
  // missing or of tokens that the vocabulary has not.
  explicit ByteLevelBpe(GgufVocabulary vocabulary);

  // There is no prefix. Errors: Error with the byte offset of a byte that the vocabulary has not.
  std::vector<int32_t> encode_text(std::string_view text, bool prefix) const override;
  std::string_view decode(int32_t previous, int32_t id) const override;
  int64_t vocab_size() const override { return vocabulary_.size(); }
  int32_t bos_id() const override { return vocabulary_.bos(); }
  std::span<const int32_t> eos_ids() const override { return vocabulary_.eos(); }
  const std::string& hash() const override { return vocabulary_.hash(); }

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

  GgufVocabulary vocabulary_;
  std::vector<TextPattern> patterns_;  // each takes the pieces of the one before apart
  bool whole_words_ = false;           // a word that is a token is not merged from its bytes
  std::array<int32_t, 256> byte_ids_;  // -1: none
  std::unordered_map<uint64_t, Merge> merges_;  // by the ids of both neighbours
  std::string text_;                            // what tokens decode to, one after the other
  std::vector<size_t> text_at_;                 // where each begins, and the end
  std::unordered_map<std::string_view, int32_t> words_;  // tokens by what they decode to
};

}  // namespace perdure
