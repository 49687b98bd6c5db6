// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/gguf_vocabulary.hpp"

#include <algorithm>
#include <utility>

#include "core/api/error.hpp"
#include "core/base/hash.hpp"
#include "core/model/formats/gguf_tokens.hpp"

namespace perdure {
namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kKinds = "tokenizer.ggml.token_type";
// More than any vocabulary has; bounds what a file of empty tokens costs.
constexpr int64_t kMostTokens = int64_t{1} << 19;

size_t first_byte(std::string_view text) { return static_cast<unsigned char>(text.front()); }

}  // namespace

GgufVocabulary::GgufVocabulary(MappedFile file, int64_t vocab_size)
    : GgufVocabulary(file.bytes(), file.path(), vocab_size) {
  mapped_.emplace(std::move(file));
}

GgufVocabulary::GgufVocabulary(std::span<const std::byte> bytes, std::string path,
                               int64_t vocab_size)
    : gguf_(bytes, std::move(path)) {
  const GgufValue* tokens = gguf_.find(kTokens);
  if (tokens == nullptr) gguf_.fail_missing(kTokens);
  if (tokens->count != vocab_size || vocab_size > kMostTokens)
    gguf_.fail(kTokens, "has " + std::to_string(tokens->count) + " tokens where the model has " +
                            std::to_string(vocab_size) + "; at most " +
                            std::to_string(kMostTokens) + " are possible");
  tokens_ = gguf_.texts(kTokens);
  read_kinds();
  read_special_tokens();
  index();
}

void GgufVocabulary::read_kinds() {
  kinds_.assign(tokens_.size(), TokenKind::kNormal);
  if (gguf_.find(kKinds) == nullptr) return;
  const std::vector<int64_t> kinds = gguf_.wholes(kKinds);
  if (kinds.size() != tokens_.size())
    gguf_.fail(kKinds, "has " + std::to_string(kinds.size()) + " elements for " +
                           std::to_string(tokens_.size()) + " tokens");
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i] < 0 || kinds[i] > static_cast<int64_t>(TokenKind::kByte))
      gguf_.fail(kKinds, "is " + std::to_string(kinds[i]) + " for token " + std::to_string(i) +
                             ", which is unknown");
    kinds_[i] = static_cast<TokenKind>(kinds[i]);
  }
}

void GgufVocabulary::read_special_tokens() {
  const GgufSpecialTokens special = read_gguf_special_tokens(gguf_, size());
  if (!special.begin.empty()) bos_ = static_cast<int32_t>(special.begin.front());
  for (const int64_t id : special.ends) eos_.push_back(static_cast<int32_t>(id));
  const auto unknown = std::ranges::find(kinds_, TokenKind::kUnknown);
  if (unknown != kinds_.end()) unknown_ = static_cast<int32_t>(unknown - kinds_.begin());
}

void GgufVocabulary::index() {
  ids_.reserve(tokens_.size());
  for (int32_t id = 0; id < size(); ++id) {
    if (kind(id) != TokenKind::kNormal && kind(id) != TokenKind::kUserDefined) continue;
    ids_.emplace(token(id), id);
    if (kind(id) != TokenKind::kUserDefined || token(id).empty()) continue;
    if (user_defined_.emplace(token(id), id).second)
      user_defined_sizes_[first_byte(token(id))].push_back(token(id).size());
  }
  for (std::vector<size_t>& sizes : user_defined_sizes_) {
    std::ranges::sort(sizes, std::greater());
    sizes.erase(std::ranges::unique(sizes).begin(), sizes.end());
  }
  Hasher hasher;
  for (const auto& [key, value] : gguf_.metadata())
    if (key.starts_with("tokenizer.ggml.")) {
      hasher.add(key);
      hasher.add(value.bytes);
    }
  hash_ = hasher.hex();
}

int32_t GgufVocabulary::find(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? -1 : found->second;
}

std::vector<ControlToken> GgufVocabulary::control_tokens() const {
  std::vector<ControlToken> tokens;
  for (int32_t id = 0; id < size(); ++id) {
    const bool is_end = std::ranges::count(eos_, id) > 0;
    if (!token(id).empty() && (kind(id) == TokenKind::kControl || id == bos_ || is_end))
      tokens.push_back({std::string(token(id)), id});
  }
  return tokens;
}

int32_t GgufVocabulary::user_defined_at(std::string_view rest) const {
  for (const size_t size : user_defined_sizes_[first_byte(rest)]) {
    if (size > rest.size()) continue;
    const auto found = user_defined_.find(rest.substr(0, size));
    if (found != user_defined_.end()) return found->second;
  }
  return -1;
}

void GgufVocabulary::split(std::string_view whole, const std::function<void(int32_t id)>& token,
                           const std::function<void(std::string_view part)>& text) const {
  size_t begin = 0;
  const auto flush = [&](size_t end) {
    if (end > begin) text(whole.substr(begin, end - begin));
  };
  for (size_t at = 0; at < whole.size();) {
    const int32_t id = user_defined_at(whole.substr(at));
    if (id < 0) {
      ++at;
      continue;
    }
    flush(at);
    token(id);
    at += this->token(id).size();
    begin = at;
  }
  flush(whole.size());
}

}  // namespace perdure
