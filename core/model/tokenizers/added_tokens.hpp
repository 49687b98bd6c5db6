// SPDX-License-Identifier: Apache-2.0

// Tokens that stand in a text as they are written, whatever is around them: a text is taken apart
// at these before anything else is done to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/tokenizers/byte_trie.hpp"

namespace perdure {

// As Hugging Face's tokenizer.json describes one.
struct AddedToken {
  int32_t id = 0;
  bool takes_left_space = false, takes_right_space = false;  // lstrip, rstrip
  bool single_word = false;  // only where no letter or digit stands beside it
};

class Vocabulary;

// Immutable; any thread.
class AddedTokens {
 public:
  using List = std::vector<std::pair<std::string, AddedToken>>;

  AddedTokens() = default;
  // Empty texts are left out; of equal ones the first counts.
  explicit AddedTokens(const List& tokens);
  // The user-defined ones of a vocabulary.
  static AddedTokens user_defined(const Vocabulary& vocabulary);

  bool empty() const { return tokens_.empty(); }
  // The longest token that `rest`, which is not empty, begins with, and its size; nullptr: none.
  std::pair<const AddedToken*, size_t> at(std::string_view rest) const;

  // Takes a text apart: `token` is called for each token (the longest first), `text` for what is
  // between them, which is not empty.
  void split(std::string_view whole, const std::function<void(int32_t id)>& token,
             const std::function<void(std::string_view part)>& text) const;

 private:
  std::vector<AddedToken> tokens_;
  ByteTrie trie_;  // of their texts; its ids are places in tokens_
};

}  // namespace perdure
