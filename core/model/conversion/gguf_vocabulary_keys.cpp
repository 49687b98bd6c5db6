// SPDX-License-Identifier: Apache-2.0

#include "core/model/conversion/gguf_vocabulary_keys.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>

#include "core/api/error.hpp"
#include "core/model/conversion/vocabulary_keys.hpp"
#include "core/model/formats/tokenizer_config.hpp"
#include "core/model/tokenizers/gguf_vocabulary.hpp"
#include "core/model/tokenizers/llama2c_tokenizer.hpp"
#include "core/model/tokenizers/rwkv_world.hpp"
#include "core/model/tokenizers/sentencepiece_model.hpp"
#include "core/model/tokenizers/tokenizer.hpp"
#include "core/model/tokenizers/tokenizer_json.hpp"

namespace perdure {
namespace {

const std::string kPrefix = kGgufTokenizer;

void set_token(GgufKeys& keys, const char* name, int32_t id) {
  keys.set_whole(kPrefix + name, static_cast<uint32_t>(id));
}

// --- Special tokens. ---

// The vocabulary's, and what else the model ends a text with. The first is the one that is written.
std::vector<int32_t> ends_of(const ModelInfo& info, const Tokenizer* tokenizer) {
  std::vector<int32_t> ends;
  const auto add = [&](std::span<const int32_t> ids) {
    for (const int32_t id : ids)
      if (std::ranges::count(ends, id) == 0) ends.push_back(id);
  };
  if (tokenizer != nullptr) add(tokenizer->eos_ids());
  add(info.eos_ids);
  return ends;
}

void set_ends(GgufDocument& document) {
  static constexpr const char* kEnds[] = {"eos_token_id", "eot_token_id", "eom_token_id"};
  if (document.eos_ids.size() > std::size(kEnds))
    throw Error("a GGUF file has no place for " + std::to_string(document.eos_ids.size()) +
                " tokens that end a text; it has three");
  for (size_t i = 0; i < std::size(kEnds); ++i)
    if (i < document.eos_ids.size())
      set_token(document.keys, kEnds[i], document.eos_ids[i]);
    else
      document.keys.erase(kPrefix + kEnds[i]);
}

// `tokenizer`: nullptr if the model has none; then the model has the word.
void set_special_tokens(const ModelInfo& info, const Tokenizer* tokenizer, GgufDocument& document) {
  document.bos_id = tokenizer == nullptr ? info.bos_id : tokenizer->bos_id();
  document.eos_ids = ends_of(info, tokenizer);
  const int32_t bos = document.bos_id < 0 ? info.bos_id : document.bos_id;
  if (bos >= 0) set_token(document.keys, "bos_token_id", bos);
  document.keys.set_flag(kPrefix + "add_bos_token", document.bos_id >= 0);
  set_ends(document);
}

// What a folder says beside its tokenizer.
void set_folder(const std::string& path, GgufDocument& document) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const TokenizerConfig config = read_tokenizer_config(folder.string());
  if (!config.chat_template.empty())
    document.keys.set_text("tokenizer.chat_template", config.chat_template);
  if (config.add_eos_token)
    document.keys.set_flag(kPrefix + "add_eos_token", *config.add_eos_token);
}

// --- llama2.c's tokenizer.bin. ---

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

VocabularyKeys llama2c_keys(const MappedFile& file, int64_t vocab_size) {
  Llama2cTokenizer::read(file.bytes(), file.path(), vocab_size);
  const Pieces pieces(file.bytes());
  VocabularyKeys written;
  written.keys.set_text(kPrefix + "model", "llama");
  written.keys.set_text(kPrefix + "pre", "default");
  written.keys.set_texts(kPrefix + "tokens", pieces.tokens);
  written.keys.set_reals(kPrefix + "scores", pieces.scores);
  written.keys.set_wholes(kPrefix + "token_type", pieces.kinds);
  set_token(written.keys, "unknown_token_id", 0);
  return written;
}

// --- The choice. ---

VocabularyKeys gguf_keys(const MappedFile& file, int64_t vocab_size) {
  const GgufVocabulary vocabulary(file.bytes(), file.path(), vocab_size);
  VocabularyKeys written;
  for (const auto& [key, value] : vocabulary.file().metadata())
    if (key.starts_with("tokenizer.")) written.keys.set(std::string(key), value);
  return written;
}

VocabularyKeys rwkv_keys(const MappedFile&, int64_t) {
  throw GgufLacks("llama.cpp reads such a one for RWKV only");
}

using ReadKeys = VocabularyKeys (*)(const MappedFile& file, int64_t vocab_size);

// As open_tokenizer chooses.
ReadKeys reader_of(const MappedFile& file) {
  if (is_gguf(file.bytes())) return gguf_keys;
  if (is_rwkv_world(file.bytes())) return rwkv_keys;
  if (is_sentencepiece_model(file.bytes())) return sentencepiece_keys;
  return is_json(file.bytes()) ? huggingface_keys : llama2c_keys;
}

// Without a vocabulary only special tokens are written.
void leave_out(GgufDocument& document, std::string note) {
  document.keys.set_text(kPrefix + "model", "no_vocab");
  document.notes.push_back(std::move(note));
}

void set_vocabulary(const MappedFile& file, const ModelInfo& info, GgufDocument& document) {
  try {
    const VocabularyKeys written = reader_of(file)(file, info.vocab_size);
    document.keys.set_all(written.keys);
    document.notes.insert(document.notes.end(), written.notes.begin(), written.notes.end());
  } catch (const GgufLacks& reason) {
    leave_out(document, "GGUF cannot hold the tokenizer of " + file.path() + ", because " +
                            reason.what() + "; name it with model.tokenizer");
  }
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
  if (!has_vocabulary(tokenizer)) {
    leave_out(document, "the file has no vocabulary: name one with model.tokenizer");
    return set_special_tokens(info, nullptr, document);
  }
  const std::unique_ptr<const Tokenizer> opened = open_tokenizer(tokenizer, info);
  set_vocabulary(MappedFile(tokenizer), info, document);
  set_special_tokens(info, opened.get(), document);
  set_folder(tokenizer, document);
}

}  // namespace perdure
