// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/byte_level_bpe.hpp"

#include <optional>
#include <utility>

#include "core/api/error.hpp"
#include "core/model/tokenizers/pair_merger.hpp"
#include "core/model/tokenizers/utf8.hpp"

namespace perdure {
namespace {

// The characters that stand for bytes in such vocabularies: bytes that can be seen stand for
// themselves, the others for what follows U+0100.
const std::unordered_map<std::string, unsigned char>& byte_characters() {
  static const auto characters = [] {
    std::unordered_map<std::string, unsigned char> map;
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const bool seen = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
      std::string character;
      append_utf8(seen ? byte : next++, character);
      map[character] = static_cast<unsigned char>(byte);
    }
    return map;
  }();
  return characters;
}

// The bytes that a token stands for; nothing if a character of it stands for none.
std::optional<std::string> bytes_of(std::string_view token) {
  std::string bytes;
  while (!token.empty()) {
    const size_t length = utf8_character(token);
    const auto found = byte_characters().find(std::string(token.substr(0, length)));
    if (found == byte_characters().end()) return std::nullopt;
    bytes += static_cast<char>(found->second);
    token.remove_prefix(length);
  }
  return bytes;
}

}  // namespace

ByteLevelBpe::ByteLevelBpe(Vocabulary vocabulary, TextRules rules, MergeTable merges,
                           bool whole_words)
    : VocabularyTokenizer(std::move(vocabulary), std::move(rules)),
      merges_(std::move(merges)),
      whole_words_(whole_words) {
  read_texts();
}

// Tokens that are not normal stand for what they are written as.
void ByteLevelBpe::read_texts() {
  byte_ids_.fill(-1);
  for (int32_t id = 0; id < vocabulary().size(); ++id) {
    const std::string_view token = vocabulary().token(id);
    const auto bytes = vocabulary().kind(id) == TokenKind::kNormal ? bytes_of(token)
                                                                   : std::optional<std::string>();
    if (bytes && bytes->size() == 1) {
      int32_t& byte_id = byte_ids_[static_cast<unsigned char>(bytes->front())];
      if (byte_id < 0) byte_id = id;
    }
    add_text(bytes ? std::string_view(*bytes) : token);
  }
  if (!whole_words_) return;
  words_.reserve(static_cast<size_t>(vocabulary().size()));
  for (int32_t id = 0; id < vocabulary().size(); ++id)
    if (vocabulary().kind(id) == TokenKind::kNormal) words_.emplace(text_of(id), id);
}

void ByteLevelBpe::encode_word(std::string_view word, size_t offset,
                               std::vector<int32_t>& ids) const {
  if (whole_words_)
    if (const auto found = words_.find(word); found != words_.end())
      return ids.push_back(found->second);
  std::vector<TextPiece> pieces;
  for (size_t i = 0; i < word.size(); ++i) {
    const int32_t id = byte_ids_[static_cast<unsigned char>(word[i])];
    if (id < 0)
      throw Error(
          "the text has at byte offset " + std::to_string(offset + i) +
          " a byte that the tokenizer's vocabulary cannot express; take it out of the text");
    pieces.push_back({i, i + 1, id});
  }
  const auto find = [&](const TextPiece& a, const TextPiece& b) {
    return merges_.find(a.id, b.id);
  };
  for (const TextPiece& piece : merge_pairs(std::move(pieces), find)) ids.push_back(piece.id);
}

}  // namespace perdure
