// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/byte_level_bpe.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/api/error.hpp"
#include "core/model/tokenizers/pair_merger.hpp"
#include "core/model/tokenizers/utf8.hpp"

namespace perdure {
namespace {

constexpr std::string_view kPre = "tokenizer.ggml.pre";
constexpr std::string_view kMerges = "tokenizer.ggml.merges";
constexpr int64_t kMostMerges = int64_t{1} << 19;

// What \s is where the vocabularies were made: Unicode's White_Space. PCRE2's own has one more.
#define PERDURE_SPACES                                                            \
  "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}" \
  "\\x{205F}\\x{3000}"
#define PERDURE_SPACE "[" PERDURE_SPACES "]"
#define PERDURE_LAST_SPACES PERDURE_SPACE "+(?![^" PERDURE_SPACES "])|" PERDURE_SPACE "+"

constexpr const char* kGpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" PERDURE_SPACES
                              "\\p{L}\\p{N}]+|" PERDURE_LAST_SPACES;
// Of Llama 3 and of Qwen 2, but for how many digits are one word.
#define PERDURE_LATER_PATTERN(DIGITS)                                                         \
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" DIGITS "| ?[^" PERDURE_SPACES \
  "\\p{L}\\p{N}]+[\\r\\n]*|" PERDURE_SPACE "*[\\r\\n]+|" PERDURE_LAST_SPACES

struct Pre {
  std::string_view name;
  std::vector<const char*> patterns;
  bool whole_words = false;
};

// One line for each way of taking texts apart, by its names in files.
const Pre* find_pre(std::string_view name) {
  static const Pre table[] = {
      {"gpt-2", {kGpt2}},
      {"llama-bpe", {PERDURE_LATER_PATTERN("\\p{N}{1,3}")}, true},
      {"llama3", {PERDURE_LATER_PATTERN("\\p{N}{1,3}")}, true},
      {"llama-v3", {PERDURE_LATER_PATTERN("\\p{N}{1,3}")}, true},
      {"qwen2", {PERDURE_LATER_PATTERN("\\p{N}")}},
      {"smollm", {"\\p{N}", kGpt2}},
  };
  const auto* found = std::ranges::find(table, name, &Pre::name);
  return found == std::end(table) ? nullptr : found;
}

#undef PERDURE_LATER_PATTERN
#undef PERDURE_LAST_SPACES
#undef PERDURE_SPACE
#undef PERDURE_SPACES

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

uint64_t key_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

ByteLevelBpe::ByteLevelBpe(GgufVocabulary read) : VocabularyTokenizer(std::move(read)) {
  choose_patterns();
  read_texts();
  read_merges();
}

void ByteLevelBpe::choose_patterns() {
  const Gguf& file = vocabulary().file();
  const auto name = file.text(kPre);
  if (!name) file.fail_missing(kPre);
  const Pre* pre = find_pre(*name);
  if (pre == nullptr)
    file.fail(kPre, "is '" + shown_name(*name) +
                        "', which is not supported; gpt-2, llama-bpe, qwen2 and smollm are");
  for (const char* pattern : pre->patterns) patterns_.emplace_back(pattern);
  whole_words_ = pre->whole_words;
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

void ByteLevelBpe::read_merges() {
  const Gguf& file = vocabulary().file();
  const GgufValue* value = file.find(kMerges);
  if (value == nullptr) file.fail_missing(kMerges);
  if (value->count > kMostMerges)
    file.fail(kMerges, "has " + std::to_string(value->count) + " elements, more than " +
                           std::to_string(kMostMerges));
  const std::vector<std::string_view> merges = file.texts(kMerges);
  merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merge = merges[rank];
    const size_t space = merge.find(' ', 1);
    const std::string_view left = merge.substr(0, space);
    const std::string_view right = space == merge.npos ? "" : merge.substr(space + 1);
    const int32_t a = vocabulary().find(left), b = vocabulary().find(right);
    const int32_t both = vocabulary().find(std::string(left) + std::string(right));
    if (space == merge.npos || a < 0 || b < 0 || both < 0)
      file.fail(kMerges, "has the merge " + std::to_string(rank) + ", '" + shown_name(merge) +
                             "', which is not of two tokens that make a third");
    merges_.try_emplace(key_of(a, b), Merge{static_cast<int32_t>(rank), both});
  }
}

std::vector<int32_t> ByteLevelBpe::encode_text(std::string_view text, bool) const {
  std::vector<int32_t> ids;
  std::vector<std::string_view> words;
  vocabulary().split(
      text, [&](int32_t id) { ids.push_back(id); },
      [&](std::string_view part) {
        words.clear();
        take_apart(part, 0, words);
        for (const std::string_view word : words)
          encode_word(word, static_cast<size_t>(word.data() - text.data()), ids);
      });
  return ids;
}

void ByteLevelBpe::take_apart(std::string_view part, size_t pattern,
                              std::vector<std::string_view>& words) const {
  if (pattern == patterns_.size()) return words.push_back(part);
  patterns_[pattern].split(part,
                           [&](std::string_view piece) { take_apart(piece, pattern + 1, words); });
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
  const auto find = [&](const TextPiece& a, const TextPiece& b) -> std::optional<MergedPair> {
    const auto merge = merges_.find(key_of(a.id, b.id));
    if (merge == merges_.end()) return std::nullopt;
    return MergedPair{-static_cast<float>(merge->second.rank), merge->second.id};
  };
  for (const TextPiece& piece : merge_pairs(std::move(pieces), find)) ids.push_back(piece.id);
}

}  // namespace perdure
