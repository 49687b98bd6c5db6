// SPDX-License-Identifier: Apache-2.0

// Tokenizers from sentencepiece's tokenizer.model: pair merging and the unigram model.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "core/base/mapped_file.hpp"
#include "core/model/tokenizers/sentencepiece_model.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

// `bytes` must outlive the tokenizer. The files beside `path` say which tokens begin and end a
// text. Errors: Error with path and byte offset for what is malformed, not supported or does not
// fit `vocab_size`.
std::unique_ptr<const Tokenizer> make_sentencepiece_tokenizer(std::span<const std::byte> bytes,
                                                              const std::string& path,
                                                              int64_t vocab_size);

// The tokens of a file that has been read beside those of a model, without a hash. `storage` keeps
// what they point into; the path is that of the file. Errors: as above.
VocabularyParts sentencepiece_vocabulary(const SentencepieceModel& model, const std::string& path,
                                         int64_t vocab_size, std::shared_ptr<const void> storage);

// The entry of the table. Errors: as above.
std::unique_ptr<const Tokenizer> read_sentencepiece_tokenizer(MappedFile file,
                                                              const ModelInfo& model);

}  // namespace perdure
