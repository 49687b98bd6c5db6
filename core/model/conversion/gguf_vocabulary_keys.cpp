// SPDX-License-Identifier: Apache-2.0

#include "core/model/conversion/gguf_vocabulary_keys.hpp"

#include <cstring>
#include <filesystem>
#include <optional>

#include "core/api/error.hpp"
#include "core/model/formats/tokenizer_config.hpp"
#include "core/model/tokenizers/gguf_vocabulary.hpp"
#include "core/model/tokenizers/llama2c_tokenizer.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {
namespace {

const std::string kPrefix = "tokenizer.ggml.";

void set_token(GgufKeys& keys, const char* name, int32_t id) {
  keys.set_whole(kPrefix + name, static_cast<uint32_t>(id));
}

void set_special_tokens(const ModelInfo& info, GgufKeys& keys) {
  static constexpr const char* kEnds[] = {"eos_token_id", "eot_token_id", "eom_token_id"};
  if (info.eos_ids.size() > std::size(kEnds))
    throw Error("a GGUF file has no place for " + std::to_string(info.eos_ids.size()) +
                " tokens that end a text; it has three");
  if (info.bos_id >= 0) set_token(keys, "bos_token_id", info.bos_id);
  for (size_t i = 0; i < info.eos_ids.size(); ++i) set_token(keys, kEnds[i], info.eos_ids[i]);
  keys.set_flag(kPrefix + "add_bos_token", info.bos_id >= 0);
}

// The pieces of a tokenizer.bin that has been checked, as GGUF writes them.
struct Pieces {
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<int32_t> kinds;

  explicit Pieces(std::span<const std::byte> bytes) {
    const std::byte* at = bytes.data() + sizeof(int32_t);
    while (at < bytes.data() + bytes.size()) {
      float score = 0;
      int32_t length = 0;
      std::memcpy(&score, at, sizeof score);
      std::memcpy(&length, at + sizeof score, sizeof length);
      at += sizeof score + sizeof length;
      add({reinterpret_cast<const char*>(at), static_cast<size_t>(length)}, score);
      at += length;
    }
  }

 private:
  static bool is_byte(std::string_view piece) {
    return piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with(">");
  }

  // llama2.c writes spaces as spaces, and line ends around BOS and EOS.
  void add(std::string_view piece, float score) {
    static constexpr const char* kNames[] = {"<unk>", "<s>", "</s>"};
    static constexpr TokenKind kKinds[] = {TokenKind::kUnknown, TokenKind::kControl,
                                           TokenKind::kControl};
    const size_t id = tokens.size();
    TokenKind kind = id < 3 ? kKinds[id] : TokenKind::kNormal;
    if (id >= 3 && id < 259 && is_byte(piece)) kind = TokenKind::kByte;
    tokens.push_back(id < 3 ? kNames[id] : with_marks(piece));
    scores.push_back(score);
    kinds.push_back(static_cast<int32_t>(kind));
  }

  static std::string with_marks(std::string_view piece) {
    std::string text;
    for (const char c : piece) text += c == ' ' ? "\xe2\x96\x81" : std::string(1, c);
    return text;
  }
};

void set_pieces(const MappedFile& file, const ModelInfo& info, GgufKeys& keys) {
  Llama2cTokenizer::read(file.bytes(), file.path(), info.vocab_size);
  const Pieces pieces(file.bytes());
  keys.set_text(kPrefix + "model", "llama");
  keys.set_text(kPrefix + "pre", "default");
  keys.set_texts(kPrefix + "tokens", pieces.tokens);
  keys.set_reals(kPrefix + "scores", pieces.scores);
  keys.set_wholes(kPrefix + "token_type", pieces.kinds);
  set_token(keys, "unknown_token_id", 0);
}

void copy_keys(const MappedFile& file, const ModelInfo& info, GgufKeys& keys) {
  const GgufVocabulary vocabulary(file.bytes(), file.path(), info.vocab_size);
  for (const auto& [key, value] : vocabulary.file().metadata())
    if (key.starts_with("tokenizer.")) keys.set(std::string(key), value);
}

// The one that a folder has beside its tokenizer.
void set_chat_template(const std::string& tokenizer, GgufKeys& keys) {
  const std::filesystem::path folder = std::filesystem::path(tokenizer).parent_path();
  const TokenizerConfig config = read_tokenizer_config(folder.string());
  if (!config.chat_template.empty()) keys.set_text("tokenizer.chat_template", config.chat_template);
}

bool is_llama2c(const std::string& tokenizer, const ModelInfo& info) {
  return dynamic_cast<const Llama2cTokenizer*>(open_tokenizer(tokenizer, info).get()) != nullptr;
}

}  // namespace

bool has_vocabulary(const std::string& tokenizer) {
  if (tokenizer.empty()) return false;
  const MappedFile file(tokenizer);
  return !is_gguf(file.bytes()) ||
         Gguf(file.bytes(), tokenizer).find(kPrefix + "tokens") != nullptr;
}

void add_vocabulary_keys(const ModelInfo& info, const std::string& tokenizer,
                         GgufDocument& document) {
  const std::optional<MappedFile> file =
      has_vocabulary(tokenizer) ? std::optional<MappedFile>(tokenizer) : std::nullopt;
  if (file && is_gguf(file->bytes())) return copy_keys(*file, info, document.keys);
  if (file && is_llama2c(tokenizer, info)) {
    set_pieces(*file, info, document.keys);
  } else {
    document.keys.set_text(kPrefix + "model", "no_vocab");
    document.notes.push_back(
        file ? "the vocabulary of " + tokenizer +
                   " is not written into GGUF files: name it with model.tokenizer"
             : "the file has no vocabulary: name one with model.tokenizer");
  }
  set_special_tokens(info, document.keys);
  if (file) set_chat_template(tokenizer, document.keys);
}

}  // namespace perdure
