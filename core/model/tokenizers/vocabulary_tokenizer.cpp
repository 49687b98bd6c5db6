// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/vocabulary_tokenizer.hpp"

namespace perdure {

// Where in the text something stands.
struct VocabularyTokenizer::Place {
  size_t part = 0;               // offset of the part between two tokens
  const char* origin = nullptr;  // of the text, while what is looked at lies in it

  size_t offset(std::string_view piece) const {
    return origin == nullptr ? part : static_cast<size_t>(piece.data() - origin);
  }
};

std::vector<int32_t> VocabularyTokenizer::encode_text(std::string_view text, bool prefix) const {
  std::vector<int32_t> ids;
  Begins begins = prefix ? Begins::kText : Begins::kNo;
  rules_.as_given.split(
      text,
      [&](int32_t id) {
        ids.push_back(id);
        begins = Begins::kPiece;
      },
      [&](std::string_view part) {
        const auto offset = static_cast<size_t>(part.data() - text.data());
        encode_part(part, {offset, text.data()}, begins, ids);
        begins = Begins::kNo;
      });
  return ids;
}

void VocabularyTokenizer::encode_part(std::string_view part, Place place, Begins begins,
                                      std::vector<int32_t>& ids) const {
  std::string rewritten;
  if (rules_.rewrite != nullptr) {
    rewritten = rules_.rewrite->rewrite(part, begins);
    part = rewritten;
    place.origin = nullptr;
  }
  rules_.rewritten.split(
      part,
      [&](int32_t id) {
        ids.push_back(id);
        begins = Begins::kPiece;
      },
      [&](std::string_view piece) {
        encode_piece(piece, place, begins, ids);
        begins = Begins::kNo;
      });
}

void VocabularyTokenizer::encode_piece(std::string_view piece, Place place, Begins begins,
                                       std::vector<int32_t>& ids) const {
  if (rules_.spaces.empty()) return encode_words(piece, 0, place, ids);
  place.origin = nullptr;
  encode_words(rules_.spaces.rewrite(piece, begins), 0, place, ids);
}

void VocabularyTokenizer::encode_words(std::string_view text, size_t pattern, const Place& place,
                                       std::vector<int32_t>& ids) const {
  if (text.empty()) return;
  if (pattern == rules_.words.size()) return encode_word(text, place.offset(text), ids);
  rules_.words[pattern].split(
      text, [&](std::string_view word, bool) { encode_words(word, pattern + 1, place, ids); });
}

}  // namespace perdure
