// SPDX-License-Identifier: Apache-2.0

// Hugging Face's tokenizer.json: pair merging of bytes, or of characters with bytes for those that
// no token has.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "core/base/mapped_file.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

// Nothing of the bytes is kept. The files beside `path` say which tokens begin and end a text.
// Errors: Error with path and byte offset or key for what is malformed, not supported or does not
// fit `vocab_size`.
std::unique_ptr<const Tokenizer> make_huggingface_tokenizer(std::span<const std::byte> bytes,
                                                            const std::string& path,
                                                            int64_t vocab_size);

// The entry of the table. Errors: as above.
std::unique_ptr<const Tokenizer> read_huggingface_tokenizer(MappedFile file,
                                                            const ModelInfo& model);

}  // namespace perdure
