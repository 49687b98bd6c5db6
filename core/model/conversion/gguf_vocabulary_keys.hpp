// SPDX-License-Identifier: Apache-2.0

// A vocabulary as keys of a GGUF file.
#pragma once

#include <string>

#include "core/model/conversion/gguf_document.hpp"

namespace perdure {

// Whether there is such a file with a vocabulary; a GGUF file may have none.
bool has_vocabulary(const std::string& tokenizer);

// Adds the vocabulary of the file `tokenizer`, its special tokens and the chat template beside it
// to the document. Of one that GGUF cannot hold, or if there is none, only the latter, with a note
// that says why.
// Errors: Error as of open_tokenizer, and if GGUF has no place for a special token.
void add_vocabulary_keys(const ModelInfo& info, const std::string& tokenizer,
                         GgufDocument& document);

}  // namespace perdure
