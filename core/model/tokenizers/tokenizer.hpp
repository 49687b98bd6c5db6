// SPDX-License-Identifier: Apache-2.0

// Text <-> token ids for llama2.c's tokenizer.bin (byte-pair merging by score, byte pieces at
// ids 3..258), after section 5 of the specification, without the original's limits and defects.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace perdure {

// Immutable after loading; any thread may use it.
class Tokenizer {
 public:
  static constexpr int32_t kBos = 1;
  static constexpr int32_t kEos = 2;

  // `vocab_size` comes from the model (the file does not store it).
  // Errors: Error with path and byte offset if the file is malformed, truncated, or of another
  // vocabulary size.
  static Tokenizer open(const std::string& path, int64_t vocab_size);
  // The same from bytes that outlive the tokenizer; `path` only stands in messages.
  static Tokenizer read(std::span<const std::byte> bytes, const std::string& path,
                        int64_t vocab_size);

  // Ids of a text of any length, O(n log n). With `bos`, BOS first; with `eos`, EOS last. Before
  // non-empty text goes a space, where the vocabulary has one. Invalid UTF-8 becomes byte pieces.
  // Errors: Error with the byte offset of what a vocabulary without byte pieces cannot express.
  std::vector<int32_t> encode(std::string_view text, bool bos, bool eos) const;

  // The bytes of `id` when it follows `previous` (after BOS one leading space is dropped; byte
  // pieces become their byte). Views stay valid as long as the tokenizer. Requires: 0 <= id <
  // vocab_size().
  std::string_view decode(int32_t previous, int32_t id) const;

  int64_t vocab_size() const;
  // Hash of all pieces and scores: part of a memory's identity.
  const std::string& hash() const;

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

 private:
  Tokenizer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Holds back the start of a UTF-8 character that the next tokens will complete, so that a terminal
// never sees half.
class Utf8Stream {
 public:
  // Takes the bytes of a token; returns what may be shown now. Bytes that can never become a
  // character pass through.
  std::string push(std::string_view bytes);
  // What is left at the end.
  std::string flush();

 private:
  std::string pending_;
};

}  // namespace perdure
