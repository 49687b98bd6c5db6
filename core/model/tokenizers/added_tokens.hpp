// SPDX-License-Identifier: Apache-2.0

// Tokens that stand in a text as they are written, whatever is around them: a text is taken apart
// at these before anything else is done to it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace perdure {

// As Hugging Face's tokenizer.json describes one.
struct AddedToken {
  int32_t id = 0;
  bool takes_left_space = false, takes_right_space = false;  // lstrip, rstrip
  bool single_word = false;  // only where no letter or digit stands beside it
};

class Vocabulary;

// Immutable once all are added; any thread.
class AddedTokens {
 public:
  // The user-defined ones of a vocabulary.
  static AddedTokens user_defined(const Vocabulary& vocabulary);

  // An empty text and one that is there already are left out.
  void add(std::string_view text, const AddedToken& token);

  bool empty() const { return tokens_.empty(); }
  // The longest token that `rest`, which is not empty, begins with, and its size; nullptr: none.
  std::pair<const AddedToken*, size_t> at(std::string_view rest) const;

  // Takes a text apart: `token` is called for each token (the longest first), `text` for what is
  // between them, which is not empty.
  void split(std::string_view whole, const std::function<void(int32_t id)>& token,
             const std::function<void(std::string_view part)>& text) const;

 private:
  std::unordered_map<std::string, AddedToken> tokens_;
  std::array<std::vector<size_t>, 256> sizes_;  // by the first byte, longest first
};

}  // namespace perdure
