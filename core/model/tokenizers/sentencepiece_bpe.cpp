// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/sentencepiece_bpe.hpp"

#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "core/api/error.hpp"
#include "core/model/tokenizers/pair_merger.hpp"
#include "core/model/tokenizers/utf8.hpp"

namespace perdure {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581
constexpr std::string_view kScores = "tokenizer.ggml.scores";

// The byte that "<0x0A>" stands for, or -1.
int byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return -1;
  unsigned value = 0;
  const char* digits = token.data() + 3;
  const auto [end, status] = std::from_chars(digits, digits + 2, value, 16);
  return status == std::errc() && end == digits + 2 ? static_cast<int>(value) : -1;
}

// The text with its spaces as the vocabulary has them.
std::string with_spaces(std::string_view text, bool prefix) {
  std::string spaced(prefix ? kSpace : "");
  for (const char c : text)
    if (c == ' ')
      spaced += kSpace;
    else
      spaced += c;
  return spaced;
}

// The token with a space for each U+2581.
std::string with_spaces(std::string_view token) {
  std::string text;
  for (size_t i = 0; i < token.size(); ++i) {
    const bool space = token.substr(i).starts_with(kSpace);
    text += space ? ' ' : token[i];
    if (space) i += kSpace.size() - 1;
  }
  return text;
}

}  // namespace

SentencepieceBpe::SentencepieceBpe(GgufVocabulary read) : VocabularyTokenizer(std::move(read)) {
  const Gguf& file = vocabulary().file();
  scores_ = file.reals(kScores);
  if (static_cast<int32_t>(scores_.size()) != vocabulary().size())
    file.fail(kScores, "has " + std::to_string(scores_.size()) + " elements for " +
                           std::to_string(vocabulary().size()) + " tokens");
  for (const float score : scores_)
    if (std::isnan(score)) file.fail(kScores, "holds a score that is not a number");
  has_prefix_ = file.flag("tokenizer.ggml.add_space_prefix").value_or(true);
  read_bytes();
  read_texts();
}

void SentencepieceBpe::read_bytes() {
  byte_ids_.fill(-1);
  for (int32_t id = 0; id < vocabulary().size(); ++id)
    if (const int byte = byte_of(vocabulary().token(id));
        byte >= 0 && vocabulary().kind(id) == TokenKind::kByte)
      byte_ids_[static_cast<size_t>(byte)] = id;
}

void SentencepieceBpe::read_texts() {
  for (int32_t id = 0; id < vocabulary().size(); ++id) {
    const std::string_view token = vocabulary().token(id);
    const int byte = vocabulary().kind(id) == TokenKind::kByte ? byte_of(token) : -1;
    if (byte >= 0)
      add_text(std::string(1, static_cast<char>(byte)));
    else
      add_text(vocabulary().kind(id) == TokenKind::kNormal ? with_spaces(token)
                                                           : std::string(token));
  }
}

// A token that stands in the text as it is begins a new piece of text, with a prefix of its own, as
// in llama.cpp.
std::vector<int32_t> SentencepieceBpe::encode_text(std::string_view text, bool prefix) const {
  std::vector<int32_t> ids;
  bool begins = prefix;
  vocabulary().split(
      text,
      [&](int32_t id) {
        ids.push_back(id);
        begins = true;
      },
      [&](std::string_view part) {
        encode_part(part, static_cast<size_t>(part.data() - text.data()), begins && has_prefix_,
                    ids);
        begins = false;
      });
  return ids;
}

void SentencepieceBpe::encode_part(std::string_view part, size_t offset, bool prefix,
                                   std::vector<int32_t>& ids) const {
  const std::string text = with_spaces(part, prefix);
  std::vector<TextPiece> pieces;
  for (size_t begin = 0, end = 0; begin < text.size(); begin = end) {
    end = begin + utf8_character(std::string_view(text).substr(begin));
    pieces.push_back({begin, end, vocabulary().find({text.data() + begin, end - begin})});
  }
  const auto find = [&](const TextPiece& a, const TextPiece& b) -> std::optional<MergedPair> {
    const int32_t id = vocabulary().find({text.data() + a.begin, b.end - a.begin});
    if (id < 0) return std::nullopt;
    return MergedPair{scores_[static_cast<size_t>(id)], id};
  };
  for (const TextPiece& piece : merge_pairs(std::move(pieces), find)) {
    if (piece.id >= 0)
      ids.push_back(piece.id);
    else
      append_bytes({text.data() + piece.begin, piece.end - piece.begin}, offset, ids);
  }
}

void SentencepieceBpe::append_bytes(std::string_view character, size_t offset,
                                    std::vector<int32_t>& ids) const {
  const size_t before = ids.size();
  for (const char c : character) {
    const int32_t id = byte_ids_[static_cast<unsigned char>(c)];
    if (id >= 0) ids.push_back(id);
  }
  if (ids.size() - before == character.size()) return;
  ids.resize(before);
  if (vocabulary().unknown() < 0)
    throw Error("the text that begins at byte offset " + std::to_string(offset) +
                " has a character that the tokenizer's vocabulary cannot express; take it out");
  ids.push_back(vocabulary().unknown());
}

std::string_view SentencepieceBpe::decode(int32_t previous, int32_t id) const {
  std::string_view text = text_of(id);
  if (has_prefix_ && previous == bos_id() && vocabulary().kind(id) == TokenKind::kNormal &&
      text.starts_with(' '))
    text.remove_prefix(1);
  return text;
}

}  // namespace perdure
