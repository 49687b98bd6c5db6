// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/sentencepiece_tokenizer.hpp"

#include <charconv>
#include <utility>

#include "core/api/error.hpp"

namespace perdure {
namespace {

// The byte that "<0x0A>" stands for, or -1.
int byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return -1;
  unsigned value = 0;
  const char* digits = token.data() + 3;
  const auto [end, status] = std::from_chars(digits, digits + 2, value, 16);
  return status == std::errc() && end == digits + 2 ? static_cast<int>(value) : -1;
}

// The token with a space for each U+2581.
std::string with_spaces(std::string_view token) {
  std::string text;
  for (size_t i = 0; i < token.size(); ++i) {
    const bool space = token.substr(i).starts_with(kSentencepieceSpace);
    text += space ? ' ' : token[i];
    if (space) i += kSentencepieceSpace.size() - 1;
  }
  return text;
}

}  // namespace

SentencepieceTokenizer::SentencepieceTokenizer(Vocabulary vocabulary, TextRules rules,
                                               const SentencepieceRules& pieces)
    : VocabularyTokenizer(std::move(vocabulary), std::move(rules)), pieces_(pieces) {
  read_bytes();
  read_texts();
}

void SentencepieceTokenizer::read_bytes() {
  byte_ids_.fill(-1);
  if (!pieces_.byte_fallback) return;
  for (int32_t id = 0; id < vocabulary().size(); ++id)
    if (const int byte = byte_of(vocabulary().token(id));
        byte >= 0 && vocabulary().kind(id) == TokenKind::kByte)
      byte_ids_[static_cast<size_t>(byte)] = id;
}

void SentencepieceTokenizer::read_texts() {
  for (int32_t id = 0; id < vocabulary().size(); ++id) {
    const std::string_view token = vocabulary().token(id);
    const TokenKind kind = vocabulary().kind(id);
    const int byte = kind == TokenKind::kByte ? byte_of(token) : -1;
    const bool has_spaces =
        kind == TokenKind::kNormal || (kind == TokenKind::kUserDefined && pieces_.is_model_file);
    if (byte >= 0)
      add_text(std::string(1, static_cast<char>(byte)));
    else
      add_text(has_spaces ? with_spaces(token) : std::string(token));
  }
}

void SentencepieceTokenizer::append_unknown(std::string_view character, size_t offset, size_t first,
                                            std::vector<int32_t>& ids) const {
  const size_t before = ids.size();
  for (const char c : character) {
    const int32_t id = byte_ids_[static_cast<unsigned char>(c)];
    if (id >= 0) ids.push_back(id);
  }
  if (ids.size() - before == character.size()) return;
  ids.resize(before);
  const int32_t unknown = vocabulary().unknown();
  if (unknown < 0)
    throw Error("the text that begins at byte offset " + std::to_string(offset) +
                " has a character that the tokenizer's vocabulary cannot express; take it out");
  if (pieces_.fuse_unknown && before > first && ids.back() == unknown) return;
  ids.push_back(unknown);
}

std::string_view SentencepieceTokenizer::decode(int32_t previous, int32_t id) const {
  std::string_view text = text_of(id);
  if (pieces_.drops_prefix && previous == bos_id() && vocabulary().kind(id) == TokenKind::kNormal &&
      text.starts_with(' '))
    text.remove_prefix(1);
  return text;
}

}  // namespace perdure
