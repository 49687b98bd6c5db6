// SPDX-License-Identifier: Apache-2.0

// tokenizer.model in GGUF: `llama`'s kind merges by scores and knows no map of characters.
#include <algorithm>

#include "core/model/conversion/vocabulary_keys.hpp"
#include "core/model/tokenizers/sentencepiece_file.hpp"
#include "core/model/tokenizers/sentencepiece_model.hpp"
#include "core/model/tokenizers/sentencepiece_tokenizer.hpp"

namespace perdure {
namespace {

bool has_kind(const SentencepieceModel& model, TokenKind kind) {
  return std::ranges::count(model.kinds, kind) > 0;
}

void require_held(const SentencepieceModel& model) {
  if (model.kind != SentencepieceModel::Kind::kBpe)
    throw GgufLacks("it is a unigram model; only pair merging can be written");
  if (!model.byte_fallback)
    throw GgufLacks("it has no byte tokens for characters that it does not know");
  if (!model.charsmap.empty()) throw GgufLacks("it maps characters to others");
  if (model.remove_extra_whitespaces) throw GgufLacks("it removes spaces");
  if (!model.escape_whitespaces) throw GgufLacks("it keeps spaces as they are");
  if (has_kind(model, TokenKind::kUnused)) throw GgufLacks("it has unused tokens");
  if (model.add_dummy_prefix && has_kind(model, TokenKind::kUserDefined))
    throw GgufLacks("it has user-defined tokens, behind which GGUF's tokenizer begins a text anew");
}

// GGUF's user-defined tokens are looked for in the text as it is.
std::string with_spaces(std::string_view token) {
  std::string text(token);
  for (size_t at = 0; (at = text.find(kSentencepieceSpace, at)) != text.npos; ++at)
    text.replace(at, kSentencepieceSpace.size(), " ");
  return text;
}

}  // namespace

VocabularyKeys sentencepiece_keys(const MappedFile& file, int64_t vocab_size) {
  const SentencepieceModel model = read_sentencepiece_model(file.bytes(), file.path());
  VocabularyParts parts = sentencepiece_vocabulary(model, file.path(), vocab_size, nullptr);
  require_held(model);
  std::vector<std::string> spaced(parts.tokens.size());
  for (size_t id = 0; id < spaced.size(); ++id)
    if (parts.kinds[id] == TokenKind::kUserDefined)
      parts.tokens[id] = spaced[id] = with_spaces(parts.tokens[id]);
  std::vector<float> scores = model.scores;
  scores.resize(parts.tokens.size());
  VocabularyKeys written;
  set_tokens(written.keys, "llama", parts, file.path());
  const std::string prefix = kGgufTokenizer;
  written.keys.set_text(prefix + "pre", "default");
  written.keys.set_reals(prefix + "scores", scores);
  written.keys.set_flag(prefix + "add_space_prefix", model.add_dummy_prefix);
  return written;
}

}  // namespace perdure
