// SPDX-License-Identifier: Apache-2.0

// GPT-2's byte-level pair merging: a text is taken apart by patterns, then bytes are merged by
// rank.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/tokenizers/merge_table.hpp"
#include "core/model/tokenizers/text_index.hpp"
#include "core/model/tokenizers/vocabulary_tokenizer.hpp"

namespace perdure {

class ByteLevelBpe final : public VocabularyTokenizer {
 public:
  // `whole_words`: a word that is a token is not merged from its bytes.
  ByteLevelBpe(Vocabulary vocabulary, TextRules rules, MergeTable merges, bool whole_words);

  std::string_view decode(int32_t, int32_t id) const override { return text_of(id); }

 protected:
  // Errors: Error with the byte offset of a byte that the vocabulary has not.
  void encode_word(std::string_view word, size_t offset, std::vector<int32_t>& ids) const override;

 private:
  void read_texts();

  MergeTable merges_;
  bool whole_words_;
  std::array<int32_t, 256> byte_ids_;  // -1: none
  TextIndex words_;                    // tokens by what they decode to
};

}  // namespace perdure
