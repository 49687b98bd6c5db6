// SPDX-License-Identifier: Apache-2.0

// RWKV World's vocabulary (rwkv_vocab_v20230424.txt): lines of an id, a token as a Python literal
// and its number of bytes; or the same tokens in a GGUF file. Encoding takes the longest token at
// each place; there are no merges, no normalisation and no special strings.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "core/base/mapped_file.hpp"
#include "core/model/tokenizers/byte_trie.hpp"
#include "core/model/tokenizers/gguf_vocabulary.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

class RwkvWorldTokenizer final : public Tokenizer {
 public:
  // Stands between the documents that the models were trained on: before a text and behind it.
  static constexpr int32_t kEndOfText = 0;

  // `vocab_size` is the model's; ids from the file's last one up to it are padding without bytes.
  // Nothing is kept of `bytes`; `path` only stands in messages. Errors: Error with path and line if
  // a line is malformed, its id is not above the one before or not below vocab_size, its length is
  // not that of the token, or the token came before.
  static RwkvWorldTokenizer read(std::span<const std::byte> bytes, const std::string& path,
                                 int64_t vocab_size);

  // The same of a GGUF file that llama.cpp's converter made: tokens are what stands between the
  // quotes of their literals of bytes. Nothing is kept. Errors: Error with path, key and token.
  static RwkvWorldTokenizer read_gguf(const GgufVocabulary& read);

  // `prefix` changes nothing. Time: a step per byte of the text and of what was looked at in vain,
  // which is less than the longest token each time.
  std::vector<int32_t> encode_text(std::string_view text, bool prefix) const override;
  // End of text and ids that the file leaves out have no bytes.
  std::string_view decode(int32_t previous, int32_t id) const override;
  int64_t vocab_size() const override { return vocab_size_; }
  int32_t bos_id() const override { return kEndOfText; }
  std::span<const int32_t> eos_ids() const override;
  std::vector<ControlToken> control_tokens() const override {
    return {{"<|endoftext|>", kEndOfText}};
  }
  // Of all ids and tokens.
  const std::string& hash() const override { return hash_; }

 private:
  struct Token {
    size_t begin = 0, size = 0;  // in text_
    int32_t id = 0;
  };

  // Throws for two tokens, by their places in tokens_, that have the same bytes.
  using Twice = std::function<void(size_t first, size_t second)>;

  RwkvWorldTokenizer() = default;
  void read_lines(std::string_view lines, const std::string& path);
  // The next token, whose bytes `append` appends to a text.
  template <class Append>
  void add(int32_t id, const Append& append);
  // Once all tokens are there.
  void complete(const Twice& twice);
  void index_ids();
  void build_trie(const Twice& twice);
  void hash_tokens();
  std::string_view bytes_of(const Token& token) const {
    return std::string_view(text_).substr(token.begin, token.size);
  }

  int64_t vocab_size_ = 0;
  std::string text_;           // the bytes of all tokens, one after the other
  std::vector<Token> tokens_;  // by id
  std::vector<int32_t> token_of_id_;
  ByteTrie trie_;
  std::string hash_;
};

// Whether the first line is one of such a file.
bool is_rwkv_world(std::span<const std::byte> file);

// The entry of the table. Errors: as RwkvWorldTokenizer::read.
std::unique_ptr<const Tokenizer> read_rwkv_world_tokenizer(MappedFile file, const ModelInfo& model);

}  // namespace perdure
