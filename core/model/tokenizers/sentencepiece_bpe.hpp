// SPDX-License-Identifier: Apache-2.0

// Byte-pair merging in sentencepiece's manner: of characters, by the score of what two make, or by
// rank where a file lists the merges.
#pragma once

#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/model/tokenizers/merge_table.hpp"
#include "core/model/tokenizers/sentencepiece_tokenizer.hpp"

namespace perdure {

class SentencepieceBpe final : public SentencepieceTokenizer {
 public:
  // Requires: a score for each token, none of them NaN.
  SentencepieceBpe(Vocabulary vocabulary, TextRules rules, const SentencepieceRules& pieces,
                   std::vector<float> scores);
  SentencepieceBpe(Vocabulary vocabulary, TextRules rules, const SentencepieceRules& pieces,
                   MergeTable merges);

 protected:
  void encode_word(std::string_view word, size_t offset, std::vector<int32_t>& ids) const override;

 private:
  struct Parted;  // what unused tokens were merged of

  void look_for_stretches();
  void find_unused();
  int32_t find(std::string_view piece) const;
  void encode_stretch(std::string_view stretch, size_t offset, size_t first,
                      std::vector<int32_t>& ids) const;
  std::optional<MergedPair> merged(std::string_view text, const TextPiece& a, const TextPiece& b,
                                   Parted& parted) const;
  void append_piece(std::string_view piece, int32_t id, const Parted& parted, size_t offset,
                    size_t first, std::vector<int32_t>& ids) const;

  std::vector<float> scores_;  // empty: merges_ counts
  MergeTable merges_;
  std::unordered_map<std::string_view, int32_t> unused_;
  // No token continues after a space that follows something else, so that texts fall into stretches
  // which have nothing to do with each other.
  bool has_stretches_ = true;
};

}  // namespace perdure
