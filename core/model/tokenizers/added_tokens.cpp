// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/added_tokens.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <map>

#include "core/base/utf8.hpp"
#include "core/model/tokenizers/vocabulary.hpp"

namespace perdure {
namespace {

std::string_view last_character(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && text.size() - begin < 4 && is_utf8_continuation(text[begin])) --begin;
  return text.substr(begin);
}

// As regular expressions take \w.
bool is_word(std::string_view character) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point(character)))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

// Unicode's White_Space.
bool is_space(std::string_view character) {
  const uint32_t c = code_point(character);
  if (c < 0x80 || utf8_character(character) == 1) return c == ' ' || (c >= '\t' && c <= '\r');
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool stands_alone(std::string_view before, std::string_view after) {
  return (before.empty() || !is_word(last_character(before))) && (after.empty() || !is_word(after));
}

size_t space_at_end(std::string_view text) {
  const size_t size = text.size();
  while (!text.empty() && is_space(last_character(text)))
    text.remove_suffix(last_character(text).size());
  return size - text.size();
}

size_t space_at_begin(std::string_view text) {
  const size_t size = text.size();
  while (!text.empty() && is_space(text)) text.remove_prefix(utf8_character(text));
  return size - text.size();
}

}  // namespace

AddedTokens::AddedTokens(const List& tokens) {
  std::map<std::string_view, AddedToken> first;
  for (const auto& [text, token] : tokens)
    if (!text.empty()) first.try_emplace(text, token);
  std::vector<std::pair<std::string_view, int32_t>> texts;
  for (const auto& [text, token] : first) {
    texts.emplace_back(text, static_cast<int32_t>(tokens_.size()));
    tokens_.push_back(token);
  }
  trie_ = ByteTrie(texts);
}

AddedTokens AddedTokens::user_defined(const Vocabulary& vocabulary) {
  List tokens;
  for (int32_t id = 0; id < vocabulary.size(); ++id)
    if (vocabulary.kind(id) == TokenKind::kUserDefined)
      tokens.emplace_back(vocabulary.token(id), AddedToken{.id = id});
  return AddedTokens(tokens);
}

std::pair<const AddedToken*, size_t> AddedTokens::at(std::string_view rest) const {
  const auto [index, size] = trie_.longest(rest);
  return {index < 0 ? nullptr : &tokens_[static_cast<size_t>(index)], size};
}

void AddedTokens::split(std::string_view whole, const std::function<void(int32_t id)>& token,
                        const std::function<void(std::string_view part)>& text) const {
  size_t begin = 0;
  const auto flush = [&](size_t end) {
    if (end > begin) text(whole.substr(begin, end - begin));
  };
  for (size_t at = 0; at < whole.size() && !empty();) {
    const auto [found, size] = this->at(whole.substr(at));
    if (found == nullptr ||
        (found->single_word && !stands_alone(whole.substr(0, at), whole.substr(at + size)))) {
      at += std::max<size_t>(size, 1);
      continue;
    }
    const std::string_view before = whole.substr(begin, at - begin);
    flush(at - (found->takes_left_space ? space_at_end(before) : 0));
    token(found->id);
    at += size;
    if (found->takes_right_space) at += space_at_begin(whole.substr(at));
    begin = at;
  }
  flush(whole.size());
}

}  // namespace perdure
