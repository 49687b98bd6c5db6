// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/gguf_tokenizer.hpp"

#include <utility>

#include "core/model/tokenizers/byte_level_bpe.hpp"
#include "core/model/tokenizers/sentencepiece_bpe.hpp"

namespace perdure {

std::unique_ptr<const Tokenizer> make_gguf_tokenizer(GgufVocabulary vocabulary) {
  constexpr std::string_view kModel = "tokenizer.ggml.model";
  const auto kind = vocabulary.file().text(kModel);
  if (!kind) vocabulary.file().fail_missing(kModel);
  if (*kind == "llama") return std::make_unique<SentencepieceBpe>(std::move(vocabulary));
  if (*kind == "gpt2") return std::make_unique<ByteLevelBpe>(std::move(vocabulary));
  vocabulary.file().fail(
      kModel, "is '" + shown_name(*kind) + "', which is not supported; llama and gpt2 are");
}

std::unique_ptr<const Tokenizer> read_gguf_tokenizer(MappedFile file, const ModelInfo& model) {
  return make_gguf_tokenizer(GgufVocabulary(std::move(file), model.vocab_size));
}

}  // namespace perdure
