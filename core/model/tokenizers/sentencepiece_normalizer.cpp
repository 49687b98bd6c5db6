// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/sentencepiece_normalizer.hpp"

#include <cstring>
#include <utility>

#include "core/api/error.hpp"
#include "core/base/utf8.hpp"
#include "core/model/tokenizers/sentencepiece_tokenizer.hpp"

namespace perdure {
namespace {

// What stands for a byte that begins no character, where the vocabulary has no bytes.
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// The fields of a unit, as darts-clone packs them.
bool has_leaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t value_of(uint32_t unit) { return unit & 0x7FFFFFFFu; }
uint32_t label_of(uint32_t unit) { return unit & 0x800000FFu; }
uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & 0x200u) >> 6); }

}  // namespace

SentencepieceCharsmap::SentencepieceCharsmap(std::string_view map, size_t offset,
                                             const std::string& path) {
  if (map.empty()) return;
  const auto fail = [&](size_t at, const std::string& what) {
    throw Error(path + ": byte offset " + std::to_string(offset + at) + " " + what);
  };
  uint32_t size = 0;
  if (map.size() < sizeof(size)) fail(0, "begins a map of characters that is cut off");
  std::memcpy(&size, map.data(), sizeof(size));
  if (size % 4 != 0 || size == 0 || size > map.size() - sizeof(size))
    fail(0, "gives a map of characters a tree of " + std::to_string(size) + " bytes, of " +
                std::to_string(map.size() - sizeof(size)) + " that are there");
  units_.resize(size / 4);
  std::memcpy(units_.data(), map.data() + sizeof(size), size);
  texts_ = map.substr(sizeof(size) + size);
  if (texts_.empty() || texts_.back() != '\0')
    fail(map.size() - 1, "ends a map of characters in the middle of a text");
}

std::pair<std::string_view, size_t> SentencepieceCharsmap::longest(std::string_view text) const {
  std::pair<std::string_view, size_t> longest{{}, 0};
  if (units_.empty()) return longest;
  size_t node = offset_of(units_.front());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    const bool is_end = has_leaf(units_[node]);
    node ^= offset_of(units_[node]);
    if (!is_end) continue;
    const size_t at = node < units_.size() ? value_of(units_[node]) : texts_.size();
    if (at < texts_.size()) longest = {texts_.data() + at, i + 1};
  }
  return longest;
}

SentencepieceNormalizer::SentencepieceNormalizer(const SentencepieceModel& model,
                                                 AddedTokens user_defined, const std::string& path)
    : user_defined_(std::move(user_defined)),
      charsmap_(model.charsmap, model.charsmap_at, path),
      keeps_bytes_(model.byte_fallback),
      adds_prefix_(model.add_dummy_prefix),
      removes_spaces_(model.remove_extra_whitespaces),
      escapes_(model.escape_whitespaces) {}

std::string_view SentencepieceNormalizer::space() const {
  return escapes_ ? kSentencepieceSpace : " ";
}

// What the text's first character, or more of it, becomes, and its size.
std::pair<std::string_view, size_t> SentencepieceNormalizer::first_piece(
    std::string_view text) const {
  if (!user_defined_.empty())
    if (const auto [token, size] = user_defined_.at(text); token != nullptr)
      return {text.substr(0, size), size};
  if (const auto mapped = charsmap_.longest(text); mapped.second > 0) return mapped;
  const size_t size = utf8_character(text);
  const bool is_none = size == 1 && static_cast<unsigned char>(text.front()) >= 0x80;
  return {is_none && !keeps_bytes_ ? kReplacement : text.substr(0, size), size};
}

std::string SentencepieceNormalizer::rewrite(std::string_view text, Begins begins) const {
  const bool is_begin = begins == Begins::kText;
  while (removes_spaces_ && is_begin && !text.empty()) {
    const auto [piece, size] = first_piece(text);
    if (piece != " ") break;
    text.remove_prefix(size);
  }
  if (text.empty()) return "";
  std::string made(adds_prefix_ && is_begin ? space() : "");
  bool after_space = removes_spaces_ && is_begin;
  while (!text.empty()) {
    auto [piece, size] = first_piece(text);
    while (after_space && piece.starts_with(' ')) piece.remove_prefix(1);
    for (const char c : piece)
      if (c == ' ')
        made += space();
      else
        made += c;
    if (!piece.empty()) after_space = removes_spaces_ && piece.ends_with(' ');
    text.remove_prefix(size);
  }
  while (removes_spaces_ && made.ends_with(space())) made.resize(made.size() - space().size());
  return made;
}

}  // namespace perdure
