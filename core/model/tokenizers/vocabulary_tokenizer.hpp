// SPDX-License-Identifier: Apache-2.0

// What the tokenizers of GGUF vocabularies share: the vocabulary, and what its tokens decode to.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/tokenizers/gguf_vocabulary.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

class VocabularyTokenizer : public Tokenizer {
 public:
  int64_t vocab_size() const override { return vocabulary_.size(); }
  int32_t bos_id() const override { return vocabulary_.bos(); }
  std::span<const int32_t> eos_ids() const override { return vocabulary_.eos(); }
  std::vector<ControlToken> control_tokens() const override { return vocabulary_.control_tokens(); }
  const std::string& hash() const override { return vocabulary_.hash(); }

 protected:
  explicit VocabularyTokenizer(GgufVocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}

  const GgufVocabulary& vocabulary() const { return vocabulary_; }
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
  GgufVocabulary vocabulary_;
  std::string text_;                   // of all tokens, one after the other
  std::vector<size_t> text_at_ = {0};  // where each begins, and the end
};

}  // namespace perdure
