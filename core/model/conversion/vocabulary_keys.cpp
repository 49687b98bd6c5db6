// SPDX-License-Identifier: Apache-2.0

#include "core/model/conversion/vocabulary_keys.hpp"

#include <algorithm>
#include <filesystem>

#include "core/model/formats/tokenizer_config.hpp"
#include "core/model/tokenizers/model_vocabulary.hpp"

namespace perdure {

namespace {

void set_padding(GgufKeys& keys, const VocabularyParts& parts, const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const std::string text = read_tokenizer_config(folder).pad_token;
  const int32_t id = text.empty() ? -1 : find_written(parts, text);
  if (id >= 0)
    keys.set_whole(std::string(kGgufTokenizer) + "padding_token_id", static_cast<uint32_t>(id));
}

}  // namespace

void set_tokens(GgufKeys& keys, const char* kind, const VocabularyParts& parts,
                const std::string& path) {
  const std::string prefix = kGgufTokenizer;
  const std::vector<std::string> tokens(parts.tokens.begin(), parts.tokens.end());
  std::vector<int32_t> kinds;
  for (const TokenKind token_kind : parts.kinds) kinds.push_back(static_cast<int32_t>(token_kind));
  keys.set_text(prefix + "model", kind);
  keys.set_texts(prefix + "tokens", tokens);
  keys.set_wholes(prefix + "token_type", kinds);
  const auto unknown = std::ranges::find(parts.kinds, TokenKind::kUnknown);
  if (unknown != parts.kinds.end())
    keys.set_whole(prefix + "unknown_token_id",
                   static_cast<uint32_t>(unknown - parts.kinds.begin()));
  set_padding(keys, parts, path);
}

}  // namespace perdure
