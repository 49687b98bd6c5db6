// SPDX-License-Identifier: Apache-2.0

// The vocabulary in a GGUF file's metadata: what all its kinds of tokenizers share.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/base/mapped_file.hpp"
#include "core/model/formats/gguf.hpp"
#include "core/model/tokenizers/vocabulary.hpp"

namespace perdure {

class GgufVocabulary {
 public:
  // Of a file's bytes, which must outlive all that is made of it. Errors: Error with path and key
  // if the vocabulary is missing, malformed or of another size than `vocab_size`.
  GgufVocabulary(std::span<const std::byte> bytes, std::string path, int64_t vocab_size);
  // The same; the vocabulary keeps the file.
  GgufVocabulary(MappedFile file, int64_t vocab_size);

  // Valid as long as the bytes.
  const Gguf& file() const { return gguf_; }
  const Vocabulary& vocabulary() const { return *vocabulary_; }
  // Leaves none behind.
  Vocabulary take() { return std::move(*vocabulary_); }

 private:
  GgufVocabulary(const std::shared_ptr<const MappedFile>& file, int64_t vocab_size);
  GgufVocabulary(std::span<const std::byte> bytes, std::string path,
                 std::shared_ptr<const MappedFile> file, int64_t vocab_size);
  void read_kinds(VocabularyParts& parts) const;
  void read_special_tokens(VocabularyParts& parts) const;
  std::string hash() const;

  Gguf gguf_;
  std::optional<Vocabulary> vocabulary_;
};

}  // namespace perdure
