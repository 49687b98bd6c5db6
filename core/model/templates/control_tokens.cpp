// SPDX-License-Identifier: Apache-2.0

#include "core/model/templates/control_tokens.hpp"

#include <algorithm>
#include <functional>

namespace perdure {
namespace {

size_t first_byte(std::string_view text) { return static_cast<unsigned char>(text.front()); }

}  // namespace

ControlTokens::ControlTokens(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {
  for (const ControlToken& token : tokenizer.control_tokens())
    if (!token.text.empty() && ids_.emplace(token.text, token.id).second)
      sizes_[first_byte(token.text)].push_back(token.text.size());
  for (std::vector<size_t>& sizes : sizes_) {
    std::ranges::sort(sizes, std::greater());
    sizes.erase(std::ranges::unique(sizes).begin(), sizes.end());
  }
}

std::optional<ControlTokens::Found> ControlTokens::at(const MarkedText& text, size_t begin) const {
  const std::string_view rest = std::string_view(text.text()).substr(begin);
  for (const size_t size : sizes_[first_byte(rest)]) {
    if (size > rest.size() || !text.is_template(begin, size)) continue;
    const auto token = ids_.find(std::string(rest.substr(0, size)));
    if (token != ids_.end()) return Found{begin, begin + size, token->second};
  }
  return std::nullopt;
}

std::optional<ControlTokens::Found> ControlTokens::find(const MarkedText& text, size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin)
    if (const auto found = at(text, begin)) return found;
  return std::nullopt;
}

std::string ControlTokens::text_of(int32_t id) const {
  const auto token =
      std::ranges::find_if(ids_, [&](const auto& entry) { return entry.second == id; });
  return token == ids_.end() ? "" : token->first;
}

std::vector<int32_t> ControlTokens::encode(const MarkedText& text, bool begins) const {
  std::vector<int32_t> ids;
  const auto add_words = [&](size_t begin, size_t end) {
    if (begin == end) return;
    const auto words = std::string_view(text.text()).substr(begin, end - begin);
    const std::vector<int32_t> more = tokenizer_.encode_text(words, begins);
    ids.insert(ids.end(), more.begin(), more.end());
  };
  size_t begin = 0;
  for (auto token = find(text, 0); token; token = find(text, begin)) {
    add_words(begin, token->begin);
    ids.push_back(token->id);
    begin = token->end;
    begins = true;
  }
  add_words(begin, text.size());
  return ids;
}

}  // namespace perdure
