// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/sentencepiece_bpe.hpp"

#include <algorithm>
#include <utility>

#include "core/base/utf8.hpp"
#include "core/model/tokenizers/pair_merger.hpp"

namespace perdure {
namespace {

// Where the first space follows something that is none, or the end.
size_t stretch_end(std::string_view text) {
  size_t at = 0;
  while (text.substr(at).starts_with(kSentencepieceSpace)) at += kSentencepieceSpace.size();
  return std::min(text.find(kSentencepieceSpace, at), text.size());
}

}  // namespace

struct SentencepieceBpe::Parted {
  std::unordered_map<std::string_view, size_t> left_sizes;
};

SentencepieceBpe::SentencepieceBpe(Vocabulary vocabulary, TextRules rules,
                                   const SentencepieceRules& pieces, std::vector<float> scores)
    : SentencepieceTokenizer(std::move(vocabulary), std::move(rules), pieces),
      scores_(std::move(scores)) {
  if (pieces.is_model_file) find_unused();
  look_for_stretches();
}

SentencepieceBpe::SentencepieceBpe(Vocabulary vocabulary, TextRules rules,
                                   const SentencepieceRules& pieces, MergeTable merges)
    : SentencepieceTokenizer(std::move(vocabulary), std::move(rules), pieces),
      merges_(std::move(merges)) {
  look_for_stretches();
}

void SentencepieceBpe::find_unused() {
  for (int32_t id = 0; id < vocabulary().size(); ++id)
    if (vocabulary().kind(id) == TokenKind::kUnused) unused_.emplace(vocabulary().token(id), id);
}

void SentencepieceBpe::look_for_stretches() {
  has_stretches_ = !rules().whole_words;
  for (int32_t id = 0; id < vocabulary().size() && has_stretches_; ++id) {
    const TokenKind kind = vocabulary().kind(id);
    has_stretches_ = kind == TokenKind::kControl || kind == TokenKind::kUnknown ||
                     stretch_end(vocabulary().token(id)) == vocabulary().token(id).size();
  }
}

int32_t SentencepieceBpe::find(std::string_view piece) const {
  const int32_t id = vocabulary().find(piece);
  if (id >= 0 || unused_.empty()) return id;
  const auto found = unused_.find(piece);
  return found == unused_.end() ? -1 : found->second;
}

void SentencepieceBpe::encode_word(std::string_view word, size_t offset,
                                   std::vector<int32_t>& ids) const {
  const size_t first = ids.size();
  if (rules().whole_words)
    if (const int32_t id = vocabulary().find(word); id >= 0) return ids.push_back(id);
  while (!word.empty()) {
    const size_t size = has_stretches_ ? stretch_end(word) : word.size();
    encode_stretch(word.substr(0, size), offset, first, ids);
    word.remove_prefix(size);
  }
}

void SentencepieceBpe::encode_stretch(std::string_view stretch, size_t offset, size_t first,
                                      std::vector<int32_t>& ids) const {
  std::vector<TextPiece> pieces;
  for (size_t begin = 0, end = 0; begin < stretch.size(); begin = end) {
    end = begin + utf8_character(stretch.substr(begin));
    pieces.push_back({begin, end, find(stretch.substr(begin, end - begin))});
  }
  Parted parted;
  const auto pair = [&](const TextPiece& a, const TextPiece& b) {
    return merged(stretch, a, b, parted);
  };
  for (const TextPiece& piece : merge_pairs(std::move(pieces), pair))
    append_piece(stretch.substr(piece.begin, piece.end - piece.begin), piece.id, parted, offset,
                 first, ids);
}

std::optional<MergedPair> SentencepieceBpe::merged(std::string_view text, const TextPiece& a,
                                                   const TextPiece& b, Parted& parted) const {
  if (scores_.empty()) return merges_.find(a.id, b.id);
  const std::string_view both = text.substr(a.begin, b.end - a.begin);
  const int32_t id = find(both);
  if (id < 0) return std::nullopt;
  if (!unused_.empty() && vocabulary().kind(id) == TokenKind::kUnused)
    parted.left_sizes[both] = a.end - a.begin;
  return MergedPair{scores_[static_cast<size_t>(id)], id};
}

void SentencepieceBpe::append_piece(std::string_view piece, int32_t id, const Parted& parted,
                                    size_t offset, size_t first, std::vector<int32_t>& ids) const {
  const bool is_unused = !unused_.empty() && id >= 0 && vocabulary().kind(id) == TokenKind::kUnused;
  if (is_unused) {
    const auto left = parted.left_sizes.find(piece);
    if (left == parted.left_sizes.end()) return ids.push_back(id);
    const std::string_view a = piece.substr(0, left->second), b = piece.substr(left->second);
    append_piece(a, find(a), parted, offset, first, ids);
    return append_piece(b, find(b), parted, offset, first, ids);
  }
  if (id >= 0)
    ids.push_back(id);
  else
    append_unknown(piece, offset, first, ids);
}

}  // namespace perdure
