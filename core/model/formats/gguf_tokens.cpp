// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/gguf_tokens.hpp"

#include <algorithm>
#include <string>

namespace perdure {
namespace {

// -1, or what it is as u32, says that there is none.
std::optional<int64_t> token(const Gguf& file, const std::string& name, int64_t vocab_size,
                             int64_t otherwise) {
  const std::string key = "tokenizer.ggml." + name;
  const int64_t id = file.whole(key).value_or(otherwise);
  if (id == -1 || id == 0xffffffff) return std::nullopt;
  if (file.find(key) == nullptr && id >= vocab_size) return std::nullopt;
  if (id < 0 || id >= vocab_size)
    file.fail(key, "is " + std::to_string(id) + ", which is not a token of a vocabulary of " +
                       std::to_string(vocab_size));
  return id;
}

// Of files that do not say whether a text begins with BOS.
bool usually_begins(const Gguf& file, bool sentencepiece) {
  const std::string_view pre = file.text("tokenizer.ggml.pre").value_or("");
  return sentencepiece || pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3";
}

}  // namespace

GgufSpecialTokens read_gguf_special_tokens(const Gguf& file, int64_t vocab_size) {
  const bool sentencepiece = file.text("tokenizer.ggml.model").value_or("") == "llama";
  GgufSpecialTokens tokens;
  const auto begin = token(file, "bos_token_id", vocab_size, sentencepiece ? 1 : -1);
  const bool begins =
      file.flag("tokenizer.ggml.add_bos_token").value_or(usually_begins(file, sentencepiece));
  if (begin && begins) tokens.begin.push_back(*begin);
  const auto add_end = [&](const char* name, int64_t otherwise) {
    const auto id = token(file, name, vocab_size, otherwise);
    if (id && std::ranges::count(tokens.ends, *id) == 0) tokens.ends.push_back(*id);
  };
  add_end("eos_token_id", sentencepiece ? 2 : -1);
  add_end("eot_token_id", -1);
  add_end("eom_token_id", -1);
  return tokens;
}

}  // namespace perdure
