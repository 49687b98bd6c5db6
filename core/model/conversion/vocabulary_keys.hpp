// SPDX-License-Identifier: Apache-2.0

// Vocabularies of Hugging Face's and sentencepiece's files as keys of a GGUF file, as llama.cpp's
// converter writes them, and under keys of this program's own what these cannot say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/api/error.hpp"
#include "core/base/mapped_file.hpp"
#include "core/model/formats/gguf_writer.hpp"
#include "core/model/tokenizers/vocabulary.hpp"

namespace perdure {

// The file is fine, but GGUF has no way to say what it does. The sentence's end: "because ...".
class GgufLacks : public Error {
 public:
  using Error::Error;
};

struct VocabularyKeys {
  GgufKeys keys;                   // without special tokens
  std::vector<std::string> notes;  // sentences for people: where llama.cpp's ids are others
};

constexpr const char* kGgufTokenizer = "tokenizer.ggml.";

// Names, kinds, the unknown token, and that for padding by what lies beside the tokenizer at
// `path`. `kind` is GGUF's name of the tokenizer: llama or gpt2.
void set_tokens(GgufKeys& keys, const char* kind, const VocabularyParts& parts,
                const std::string& path);

// Of a tokenizer.json or a tokenizer.model for a model of `vocab_size` tokens. Errors: GgufLacks;
// Error as of open_tokenizer.
VocabularyKeys huggingface_keys(const MappedFile& file, int64_t vocab_size);
VocabularyKeys sentencepiece_keys(const MappedFile& file, int64_t vocab_size);

}  // namespace perdure
