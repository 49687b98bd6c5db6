// SPDX-License-Identifier: Apache-2.0

// Tokenizers in the metadata of GGUF files; `tokenizer.ggml.model` says which kind one is.
#pragma once

#include <memory>

#include "core/base/mapped_file.hpp"
#include "core/model/tokenizers/gguf_vocabulary.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

// The tokenizer of a vocabulary. Errors: Error with path and key if it is of no known kind or lacks
// what that kind needs.
std::unique_ptr<const Tokenizer> make_gguf_tokenizer(GgufVocabulary vocabulary);

// The entry of the table. Errors: as GgufVocabulary and make_gguf_tokenizer.
std::unique_ptr<const Tokenizer> read_gguf_tokenizer(MappedFile file, const ModelInfo& model);

}  // namespace perdure
