// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/sentencepiece_file.hpp"

#include <utility>

#include "core/base/hash.hpp"
#include "core/model/tokenizers/model_vocabulary.hpp"
#include "core/model/tokenizers/sentencepiece_bpe.hpp"
#include "core/model/tokenizers/sentencepiece_model.hpp"
#include "core/model/tokenizers/sentencepiece_normalizer.hpp"
#include "core/model/tokenizers/sentencepiece_unigram.hpp"

namespace perdure {
namespace {

// -1 if the token is not there or is no control token.
int32_t control_token(const VocabularyParts& parts, std::string_view text) {
  const int32_t id = find_written(parts, text);
  return id >= 0 && parts.kinds[static_cast<size_t>(id)] == TokenKind::kControl ? id : -1;
}

std::string hash(std::span<const std::byte> bytes, int32_t bos) {
  Hasher hasher;
  hasher.add(bytes);
  hasher.add(" bos " + std::to_string(bos));
  return hasher.hex();
}

std::unique_ptr<const Tokenizer> make(std::span<const std::byte> bytes,
                                      std::shared_ptr<const void> storage, const std::string& path,
                                      int64_t vocab_size) {
  SentencepieceModel model = read_sentencepiece_model(bytes, path);
  VocabularyParts parts = sentencepiece_vocabulary(model, path, vocab_size, std::move(storage));
  parts.hash = hash(bytes, parts.bos);
  Vocabulary vocabulary(std::move(parts));
  AddedTokens user_defined = AddedTokens::user_defined(vocabulary);
  TextRules rules;
  rules.rewrite = std::make_shared<SentencepieceNormalizer>(model, user_defined, path);
  const SentencepieceRules pieces{
      .drops_prefix = model.add_dummy_prefix || model.remove_extra_whitespaces,
      .fuse_unknown = true,
      .is_model_file = true,
      .byte_fallback = model.byte_fallback};
  std::vector<float> scores = std::move(model.scores);
  scores.resize(static_cast<size_t>(vocab_size));
  if (model.kind == SentencepieceModel::Kind::kUnigram)
    return std::make_unique<SentencepieceUnigram>(std::move(vocabulary), std::move(rules), pieces,
                                                  std::move(scores));
  rules.rewritten = std::move(user_defined);
  return std::make_unique<SentencepieceBpe>(std::move(vocabulary), std::move(rules), pieces,
                                            std::move(scores));
}

}  // namespace

VocabularyParts sentencepiece_vocabulary(const SentencepieceModel& model, const std::string& path,
                                         int64_t vocab_size, std::shared_ptr<const void> storage) {
  VocabularyParts parts{
      .tokens = model.tokens, .kinds = model.kinds, .storage = std::move(storage)};
  fit_to_model(parts, vocab_size, path);
  set_ends(parts, {control_token(parts, model.bos), control_token(parts, model.eos)}, path);
  return parts;
}

std::unique_ptr<const Tokenizer> make_sentencepiece_tokenizer(std::span<const std::byte> bytes,
                                                              const std::string& path,
                                                              int64_t vocab_size) {
  return make(bytes, nullptr, path, vocab_size);
}

std::unique_ptr<const Tokenizer> read_sentencepiece_tokenizer(MappedFile file,
                                                              const ModelInfo& model) {
  const auto kept = std::make_shared<const MappedFile>(std::move(file));
  return make(kept->bytes(), kept, kept->path(), model.vocab_size);
}

}  // namespace perdure
