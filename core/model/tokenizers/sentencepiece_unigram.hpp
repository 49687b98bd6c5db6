// SPDX-License-Identifier: Apache-2.0

// Sentencepiece's unigram model: of all ways to write a text in tokens, the one whose scores add up
// to most.
#pragma once

#include <string_view>
#include <vector>

#include "core/model/tokenizers/byte_trie.hpp"
#include "core/model/tokenizers/sentencepiece_tokenizer.hpp"

namespace perdure {

class SentencepieceUnigram final : public SentencepieceTokenizer {
 public:
  // Requires: a finite score for each token.
  SentencepieceUnigram(Vocabulary vocabulary, TextRules rules, const SentencepieceRules& pieces,
                       std::vector<float> scores);

 protected:
  // Viterbi's algorithm: a step for each token that the text has at each character.
  void encode_word(std::string_view word, size_t offset, std::vector<int32_t>& ids) const override;

 private:
  struct Step;

  void build_trie();
  void find_limits();
  void try_tokens(std::string_view word, size_t begin, std::vector<Step>& ends) const;
  double score_of(int32_t id, size_t size_bytes) const;

  std::vector<float> scores_;
  float highest_ = 0, unknown_score_ = 0;  // of normal tokens; of a character that is none
  ByteTrie trie_;
};

}  // namespace perdure
