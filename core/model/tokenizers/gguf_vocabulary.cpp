// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/gguf_vocabulary.hpp"

#include <utility>

#include "core/api/error.hpp"
#include "core/base/hash.hpp"
#include "core/model/formats/gguf_tokens.hpp"

namespace perdure {
namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kKinds = "tokenizer.ggml.token_type";

}  // namespace

GgufVocabulary::GgufVocabulary(MappedFile file, int64_t vocab_size)
    : GgufVocabulary(std::make_shared<const MappedFile>(std::move(file)), vocab_size) {}

GgufVocabulary::GgufVocabulary(const std::shared_ptr<const MappedFile>& file, int64_t vocab_size)
    : GgufVocabulary(file->bytes(), file->path(), file, vocab_size) {}

GgufVocabulary::GgufVocabulary(std::span<const std::byte> bytes, std::string path,
                               int64_t vocab_size)
    : GgufVocabulary(bytes, std::move(path), nullptr, vocab_size) {}

GgufVocabulary::GgufVocabulary(std::span<const std::byte> bytes, std::string path,
                               std::shared_ptr<const MappedFile> file, int64_t vocab_size)
    : gguf_(bytes, std::move(path)) {
  const GgufValue* tokens = gguf_.find(kTokens);
  if (tokens == nullptr)
    gguf_.fail(kTokens,
               "is missing: this GGUF file has no tokenizer; give the model's tokenizer as "
               "model.tokenizer");
  if (tokens->count != vocab_size || vocab_size > kMostTokens)
    gguf_.fail(kTokens, "has " + std::to_string(tokens->count) + " tokens where the model has " +
                            std::to_string(vocab_size) + "; at most " +
                            std::to_string(kMostTokens) + " are possible");
  VocabularyParts parts{.tokens = gguf_.texts(kTokens), .storage = std::move(file)};
  read_kinds(parts);
  read_special_tokens(parts);
  parts.hash = hash();
  vocabulary_.emplace(std::move(parts));
}

void GgufVocabulary::read_kinds(VocabularyParts& parts) const {
  parts.kinds.assign(parts.tokens.size(), TokenKind::kNormal);
  if (gguf_.find(kKinds) == nullptr) return;
  const std::vector<int64_t> kinds = gguf_.wholes(kKinds);
  if (kinds.size() != parts.tokens.size())
    gguf_.fail(kKinds, "has " + std::to_string(kinds.size()) + " elements for " +
                           std::to_string(parts.tokens.size()) + " tokens");
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i] < 0 || kinds[i] > static_cast<int64_t>(TokenKind::kByte))
      gguf_.fail(kKinds, "is " + std::to_string(kinds[i]) + " for token " + std::to_string(i) +
                             ", which is unknown");
    parts.kinds[i] = static_cast<TokenKind>(kinds[i]);
  }
  if (too_many_user_defined(parts.kinds))
    gguf_.fail(kKinds,
               "has more than " + std::to_string(kMostUserDefined) + " user-defined tokens");
}

void GgufVocabulary::read_special_tokens(VocabularyParts& parts) const {
  const GgufSpecialTokens special =
      read_gguf_special_tokens(gguf_, static_cast<int64_t>(parts.tokens.size()));
  if (!special.begin.empty()) parts.bos = static_cast<int32_t>(special.begin.front());
  for (const int64_t id : special.ends) parts.eos.push_back(static_cast<int32_t>(id));
}

std::string GgufVocabulary::hash() const {
  Hasher hasher;
  for (const auto& [key, value] : gguf_.metadata())
    if (key.starts_with("tokenizer.ggml.") || key.starts_with("tokenizer.perdure.")) {
      hasher.add(key);
      hasher.add(value.bytes);
    }
  return hasher.hex();
}

}  // namespace perdure
