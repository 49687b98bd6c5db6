// SPDX-License-Identifier: Apache-2.0

// What the tokenizers of vocabularies share: what is done to a text before its words are encoded,
// and what tokens decode to. How a word is encoded is each kind's own.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/tokenizers/added_tokens.hpp"
#include "core/model/tokenizers/text_pattern.hpp"
#include "core/model/tokenizers/text_steps.hpp"
#include "core/model/tokenizers/tokenizer.hpp"
#include "core/model/tokenizers/vocabulary.hpp"

namespace perdure {

// What is done to a text, in this order.
struct TextRules {
  AddedTokens as_given;                         // tokens that are found in the text as it is
  std::shared_ptr<const TextRewriter> rewrite;  // of what is between them; nullptr: stays
  AddedTokens rewritten;                        // tokens that are found in what it has become
  TextSteps spaces;                             // of what is between these
  std::vector<TextPattern> words;               // takes it apart; each the pieces of the one before
};

class VocabularyTokenizer : public Tokenizer {
 public:
  std::vector<int32_t> encode_text(std::string_view text, bool prefix) const final;
  int64_t vocab_size() const override { return vocabulary_.size(); }
  int32_t bos_id() const override { return vocabulary_.bos(); }
  std::span<const int32_t> eos_ids() const override { return vocabulary_.eos(); }
  std::vector<ControlToken> control_tokens() const override { return vocabulary_.control_tokens(); }
  const std::string& hash() const override { return vocabulary_.hash(); }

 protected:
  VocabularyTokenizer(Vocabulary vocabulary, TextRules rules)
      : vocabulary_(std::move(vocabulary)), rules_(std::move(rules)) {}

  // Appends the ids of a word, which is not empty. `offset`, for messages, is where it stands in
  // the text, or where the part that it was made from does.
  virtual void encode_word(std::string_view word, size_t offset,
                           std::vector<int32_t>& ids) const = 0;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  // What the next token decodes to; ids in order.
  void add_text(std::string_view text) {
    text_ += text;
    text_at_.push_back(text_.size());
  }
  // Requires: 0 <= id < vocab_size, and all texts are added. Valid as long as the tokenizer.
  std::string_view text_of(int32_t id) const {
    const size_t begin = text_at_[static_cast<size_t>(id)];
    return {text_.data() + begin, text_at_[static_cast<size_t>(id) + 1] - begin};
  }

 private:
  struct Place;
  void encode_part(std::string_view part, Place place, Begins begins,
                   std::vector<int32_t>& ids) const;
  void encode_piece(std::string_view piece, Place place, Begins begins,
                    std::vector<int32_t>& ids) const;
  void encode_words(std::string_view text, size_t pattern, const Place& place,
                    std::vector<int32_t>& ids) const;

  Vocabulary vocabulary_;
  TextRules rules_;
  std::string text_;                   // of all tokens, one after the other
  std::vector<size_t> text_at_ = {0};  // where each begins, and the end
};

}  // namespace perdure
