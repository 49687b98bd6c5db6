// SPDX-License-Identifier: Apache-2.0

// What is done to a text before it is encoded: normalisers of tokenizer.json, and the spaces of
// sentencepiece vocabularies.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/tokenizers/text_pattern.hpp"

namespace perdure {

// What a piece of text begins with: nothing that a prefix belongs to, the text itself, or what
// follows a token that stood in the text as it is written.
enum class Begins { kNo, kText, kPiece };

// Makes a text of a text. Immutable; any thread.
class TextRewriter {
 public:
  virtual ~TextRewriter() = default;
  virtual std::string rewrite(std::string_view text, Begins begins) const = 0;
};

enum class PrefixRule {
  kAlways,          // before the text and each piece
  kUnlessThere,     // the same, but not where it stands already
  kTextUnlessThere  // only before the text, and not where it stands already
};

// Steps, one after the other.
class TextSteps final : public TextRewriter {
 public:
  TextSteps() = default;

  // `text` before a text that is not empty.
  void prepend(std::string text, PrefixRule rule);
  void replace(std::string from, std::string to);  // requires: from is not empty
  void replace(TextPattern from, std::string to);
  // Unicode's normalisation form C; bytes that are no UTF-8 stay.
  void compose();

  bool empty() const { return steps_.empty(); }
  bool has_prefix() const;
  // Whether both do the same, step by step.
  bool operator==(const TextSteps& other) const;
  std::string rewrite(std::string_view text, Begins begins) const override;

 private:
  struct Step;
  std::vector<std::shared_ptr<const Step>> steps_;
};

// In form C; what is no UTF-8 stays.
std::string composed(std::string_view text);

}  // namespace perdure
