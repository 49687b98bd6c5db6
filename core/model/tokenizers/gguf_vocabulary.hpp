// SPDX-License-Identifier: Apache-2.0

// The vocabulary in a GGUF file's metadata: what all its kinds of tokenizers share.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/mapped_file.hpp"
#include "core/model/formats/gguf.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

// What a token is; the numbers are the file's.
enum class TokenKind : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

// Immutable after loading; any thread.
class GgufVocabulary {
 public:
  // Of a file's bytes, which must outlive it. Errors: Error with path and key if the vocabulary is
  // missing, malformed or of another size than `vocab_size`.
  GgufVocabulary(std::span<const std::byte> bytes, std::string path, int64_t vocab_size);
  // The same, and keeps the file.
  GgufVocabulary(MappedFile file, int64_t vocab_size);

  const Gguf& file() const { return gguf_; }
  int32_t size() const { return static_cast<int32_t>(tokens_.size()); }
  std::string_view token(int32_t id) const { return tokens_[static_cast<size_t>(id)]; }
  TokenKind kind(int32_t id) const { return kinds_[static_cast<size_t>(id)]; }
  // The token of the first of all kinds that a text is made of (normal and user-defined); -1 if
  // there is none.
  int32_t find(std::string_view token) const;
  int32_t bos() const { return bos_; }  // -1: none
  std::span<const int32_t> eos() const { return eos_; }
  int32_t unknown() const { return unknown_; }  // -1: none
  // Tokens of that kind, and BOS and EOS whatever they are; those without a text are left out.
  std::vector<ControlToken> control_tokens() const;
  // Of all that changes ids.
  const std::string& hash() const { return hash_; }

  // Takes a text apart at tokens that stand in it as they are written: `token` is called for each
  // of these (the longest first), `text` for what is between them, which is not empty.
  void split(std::string_view whole, const std::function<void(int32_t id)>& token,
             const std::function<void(std::string_view part)>& text) const;

 private:
  void read_kinds();
  void read_special_tokens();
  void index();
  int32_t user_defined_at(std::string_view rest) const;

  std::optional<MappedFile> mapped_;
  Gguf gguf_;
  std::vector<std::string_view> tokens_;
  std::vector<TokenKind> kinds_;
  std::unordered_map<std::string_view, int32_t> ids_;
  std::unordered_map<std::string_view, int32_t> user_defined_;
  std::array<std::vector<size_t>, 256> user_defined_sizes_;  // by the first byte, longest first
  int32_t bos_ = -1, unknown_ = -1;
  std::vector<int32_t> eos_;
  std::string hash_;
};

}  // namespace perdure
