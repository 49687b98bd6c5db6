// SPDX-License-Identifier: Apache-2.0

// llama2.c's tokenizer.bin: byte-pair merging by score, byte pieces at ids 3..258, after section 5
// of the specification, without the original's limits and defects.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "core/base/mapped_file.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

class Llama2cTokenizer final : public Tokenizer {
 public:
  static constexpr int32_t kBos = 1;
  static constexpr int32_t kEos = 2;

  // `vocab_size` comes from the model (the file does not store it).
  // Errors: Error with path and byte offset if the file is malformed, truncated, or of another
  // vocabulary size.
  static Llama2cTokenizer open(const std::string& path, int64_t vocab_size);
  // The same from bytes that outlive the tokenizer; `path` only stands in messages.
  static Llama2cTokenizer read(std::span<const std::byte> bytes, const std::string& path,
                               int64_t vocab_size);

  // O(n log n). The prefix is a space before text that is not empty, where the vocabulary has one.
  std::vector<int32_t> encode_text(std::string_view text, bool prefix) const override;
  // After BOS one leading space is dropped; byte pieces become their byte.
  std::string_view decode(int32_t previous, int32_t id) const override;
  int64_t vocab_size() const override;
  int32_t bos_id() const override { return kBos; }
  std::span<const int32_t> eos_ids() const override;
  // As sentencepiece writes them; the file has line ends around them.
  std::vector<ControlToken> control_tokens() const override {
    return {{"<s>", kBos}, {"</s>", kEos}};
  }
  // Of all pieces and scores.
  const std::string& hash() const override;

  Llama2cTokenizer(Llama2cTokenizer&&) noexcept;
  Llama2cTokenizer& operator=(Llama2cTokenizer&&) noexcept;
  ~Llama2cTokenizer() override;

 private:
  friend std::unique_ptr<const Tokenizer> read_llama2c_tokenizer(MappedFile file,
                                                                 const ModelInfo& model);
  Llama2cTokenizer();
  static Llama2cTokenizer keep(MappedFile file, int64_t vocab_size);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The entry of the table. Errors: as Llama2cTokenizer::open.
std::unique_ptr<const Tokenizer> read_llama2c_tokenizer(MappedFile file, const ModelInfo& model);

}  // namespace perdure
