// SPDX-License-Identifier: Apache-2.0

// Text <-> token ids: the interface of all tokenizers, the choice among them by what a file
// contains, and decoding as tokens come. Each kind of tokenizer is one file and one line of the
// table in tokenizer.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/model_info.hpp"

namespace perdure {

// A token that stands for no text, and how it is written where one means it: "<|im_start|>".
struct ControlToken {
  std::string text;
  int32_t id = 0;
};

// Immutable after loading; any thread may use it.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of a text of any length. With `prefix`, as of a text that begins here: sentencepiece
  // vocabularies then put a space before it. Text that looks like a special token is text. Invalid
  // UTF-8 is encoded as its bytes where the vocabulary has them.
  // Errors: Error with the byte offset of what the vocabulary cannot express.
  virtual std::vector<int32_t> encode_text(std::string_view text, bool prefix) const = 0;

  // The bytes of `id` when it follows `previous`, which may be -1 for nothing. Special tokens have
  // the bytes that the vocabulary gives them. Views stay valid as long as the tokenizer. Requires:
  // 0 <= id < vocab_size().
  virtual std::string_view decode(int32_t previous, int32_t id) const = 0;

  virtual int64_t vocab_size() const = 0;
  // The token before a text; -1 = none.
  virtual int32_t bos_id() const = 0;
  // Tokens that end a text; the first is the one that is written.
  virtual std::span<const int32_t> eos_ids() const = 0;
  // Those that chat templates may write, BOS and EOS among them; encode_text() gives none of them.
  virtual std::vector<ControlToken> control_tokens() const { return {}; }
  // Hash of all that changes ids: part of a memory's identity.
  virtual const std::string& hash() const = 0;

  // A whole text, with prefix; with `bos` and `eos` between these, where the vocabulary has them.
  std::vector<int32_t> encode(std::string_view text, bool bos, bool eos) const;
  // Whether `id` is BOS or one of EOS, which no text contains.
  bool is_special(int32_t id) const;
};

// The tokenizer of a file for a model; what the file contains says which kind it is. Errors: Error
// with path and byte offset if it is malformed or does not fit the model's vocabulary.
std::unique_ptr<const Tokenizer> open_tokenizer(const std::string& path, const ModelInfo& model);

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

// The text of tokens as they come, in context: characters appear when their last byte has come.
class TokenStream {
 public:
  // Borrows the tokenizer. `previous`: the token before the first one.
  TokenStream(const Tokenizer& tokenizer, int32_t previous)
      : tokenizer_(&tokenizer), previous_(previous) {}

  // Text that may be shown after this token.
  std::string push(int32_t token) {
    std::string text = characters_.push(tokenizer_->decode(previous_, token));
    previous_ = token;
    return text;
  }
  // What is left of an unfinished character.
  std::string flush() { return characters_.flush(); }

 private:
  const Tokenizer* tokenizer_;
  int32_t previous_;
  Utf8Stream characters_;
};

}  // namespace perdure
