// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/byte_level_bpe.hpp"

#include <optional>
#include <utility>

#include "core/api/error.hpp"
#include "core/base/utf8.hpp"
#include "core/model/tokenizers/pair_merger.hpp"

namespace perdure {
namespace {

// The characters that stand for bytes in such vocabularies: bytes that can be seen stand for
// themselves, the others for what follows U+0100. By code point; -1: stands for none.
constexpr auto kBytes = [] {
  std::array<int16_t, 0x144> bytes{};
  bytes.fill(-1);
  size_t next = 0x100;
  for (size_t byte = 0; byte < 256; ++byte) {
    const bool seen = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    bytes[seen ? byte : next++] = static_cast<int16_t>(byte);
  }
  return bytes;
}();

// The byte of the character that `text` begins with; -1: none.
int byte_of(std::string_view text) {
  const uint32_t value = code_point(text);
  const bool is_character = value < 0x80 || utf8_character(text) > 1;
  return is_character && value < kBytes.size() ? kBytes[value] : -1;
}

// The bytes that a token stands for; nothing if a character of it stands for none.
std::optional<std::string> bytes_of(std::string_view token) {
  std::string bytes;
  while (!token.empty()) {
    const int byte = byte_of(token);
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(byte);
    token.remove_prefix(utf8_character(token));
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
    if (vocabulary().kind(id) == TokenKind::kNormal) words_.add(text_of(id), id);
}

void ByteLevelBpe::encode_word(std::string_view word, size_t offset,
                               std::vector<int32_t>& ids) const {
  if (whole_words_)
    if (const int32_t id = words_.find(word); id >= 0) return ids.push_back(id);
  std::vector<TextPiece> pieces;
  pieces.reserve(word.size());
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
