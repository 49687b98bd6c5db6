// SPDX-License-Identifier: Apache-2.0

// Tokenizers from sentencepiece's tokenizer.model: pair merging and the unigram model.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "core/base/mapped_file.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

// `bytes` must outlive the tokenizer. The files beside `path` say which tokens begin and end a
// text. Errors: Error with path and byte offset for what is malformed, not supported or does not
// fit `vocab_size`.
std::unique_ptr<const Tokenizer> make_sentencepiece_tokenizer(std::span<const std::byte> bytes,
                                                              const std::string& path,
                                                              int64_t vocab_size);

// The entry of the table. Errors: as above.
std::unique_ptr<const Tokenizer> read_sentencepiece_tokenizer(MappedFile file,
                                                              const ModelInfo& model);

}  // namespace perdure
