// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/model_vocabulary.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <filesystem>
#include <utility>

#include "core/api/error.hpp"
#include "core/base/shown_name.hpp"
#include "core/model/formats/tokenizer_config.hpp"

namespace perdure {
namespace {

// Models are filled up to a multiple of at most this.
constexpr int64_t kMostPadding = 1024;

bool is_of_texts(TokenKind kind) {
  return kind == TokenKind::kNormal || kind == TokenKind::kUserDefined || kind == TokenKind::kByte;
}

void check_beyond(const VocabularyParts& parts, int64_t vocab_size, const std::string& path) {
  for (size_t id = static_cast<size_t>(vocab_size); id < parts.kinds.size(); ++id)
    if (is_of_texts(parts.kinds[id]))
      throw Error(path + ": the token " + std::to_string(id) + ", '" +
                  shown_name(parts.tokens[id]) + "', is beyond the model's vocabulary of " +
                  std::to_string(vocab_size) + "; the tokenizer belongs to another model");
}

void add_padding(VocabularyParts& parts, int64_t vocab_size) {
  struct Storage {
    std::shared_ptr<const void> before;
    std::deque<std::string> texts;
  };
  const auto storage = std::make_shared<Storage>(Storage{parts.storage, {}});
  for (int64_t id = 0; id < vocab_size; ++id) {
    const auto index = static_cast<size_t>(id);
    if (index == parts.tokens.size()) {
      parts.tokens.emplace_back();
      parts.kinds.push_back(TokenKind::kUnused);
    }
    if (parts.tokens[index].empty())
      parts.tokens[index] = storage->texts.emplace_back("[PAD" + std::to_string(id) + "]");
  }
  parts.storage = storage;
}

std::string folder_of(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

int32_t named_token(const VocabularyParts& parts, const std::string& text, const char* key,
                    const std::string& path) {
  const int32_t id = find_written(parts, text);
  if (id < 0)
    throw Error(folder_of(path) + ": the key '" + key + "' of the tokenizer's configuration is '" +
                shown_name(text) + "', which is not a token of " + path);
  return id;
}

// For vocabularies without further information.
int32_t usual_end(const VocabularyParts& parts) {
  static constexpr std::array kNames = {"</s>", "<|endoftext|>", "<|end_of_text|>", "<|im_end|>"};
  for (const char* name : kNames)
    if (const int32_t id = find_written(parts, name);
        id >= 0 && parts.kinds[static_cast<size_t>(id)] == TokenKind::kControl)
      return id;
  return -1;
}

}  // namespace

void fit_to_model(VocabularyParts& parts, int64_t vocab_size, const std::string& path) {
  if (vocab_size < 1 || vocab_size > kMostTokens)
    throw Error(path + ": the model's vocabulary of " + std::to_string(vocab_size) +
                " tokens cannot have such a file; 1 to " + std::to_string(kMostTokens) + " can");
  check_beyond(parts, vocab_size, path);
  const auto n_ids = std::min(parts.tokens.size(), static_cast<size_t>(vocab_size));
  parts.tokens.resize(n_ids);
  parts.kinds.resize(n_ids);
  const int64_t there =
      std::ranges::count_if(parts.tokens, [](std::string_view text) { return !text.empty(); });
  if (vocab_size - there > std::min(there, kMostPadding))
    throw Error(path + ": there are " + std::to_string(there) + " tokens where the model has " +
                std::to_string(vocab_size) + "; the tokenizer belongs to another model");
  if (there < vocab_size) add_padding(parts, vocab_size);
}

int32_t find_written(const VocabularyParts& parts, std::string_view text) {
  int32_t found = -1;
  for (size_t id = 0; id < parts.tokens.size(); ++id) {
    if (parts.tokens[id] != text || parts.kinds[id] == TokenKind::kUnused) continue;
    if (!is_of_texts(parts.kinds[id])) return static_cast<int32_t>(id);
    if (found < 0) found = static_cast<int32_t>(id);
  }
  return found;
}

void set_ends(VocabularyParts& parts, OwnEnds own, const std::string& path) {
  const TokenizerConfig config = read_tokenizer_config(folder_of(path));
  if (config.add_bos_token == false) own.bos = -1;
  if (config.add_bos_token == true && !config.bos_token.empty())
    own.bos = named_token(parts, config.bos_token, "bos_token", path);
  if (!config.eos_token.empty()) own.eos = named_token(parts, config.eos_token, "eos_token", path);
  if (own.eos < 0) own.eos = usual_end(parts);
  parts.bos = own.bos;
  if (own.eos >= 0) parts.eos = {own.eos};
  const auto ends =
      read_generation_ends(folder_of(path), static_cast<int64_t>(parts.tokens.size()));
  if (!ends) return;
  parts.eos.assign(ends->begin(), ends->end());
  // The one that is written comes first.
  const auto written = std::ranges::find(parts.eos, own.eos);
  if (written != parts.eos.end()) std::rotate(parts.eos.begin(), written, written + 1);
}

}  // namespace perdure
