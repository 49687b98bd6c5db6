// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/huggingface_tokenizer.hpp"

#include <utility>

#include "core/model/tokenizers/byte_level_bpe.hpp"
#include "core/model/tokenizers/huggingface_vocabulary.hpp"
#include "core/model/tokenizers/sentencepiece_bpe.hpp"

namespace perdure {
namespace {

TextRules text_rules(HuggingFaceVocabulary& read) {
  TextRules rules;
  AddedTokens::List as_given, rewritten;
  for (const HuggingFaceAdded& added : read.added)
    if (!added.is_normalized)
      as_given.emplace_back(added.text, added.token);
    else
      rewritten.emplace_back(read.rules.normalizer.rewrite(added.text, Begins::kText), added.token);
  rules.as_given = AddedTokens(as_given);
  rules.rewritten = AddedTokens(rewritten);
  rules.spaces = std::move(read.rules.spaces);
  rules.words = std::move(read.rules.words);
  if (!read.rules.normalizer.empty())
    rules.rewrite = std::make_shared<TextSteps>(std::move(read.rules.normalizer));
  return rules;
}

}  // namespace

std::unique_ptr<const Tokenizer> make_huggingface_tokenizer(std::span<const std::byte> bytes,
                                                            const std::string& path,
                                                            int64_t vocab_size) {
  HuggingFaceVocabulary read = read_huggingface_vocabulary(bytes, path, vocab_size);
  Vocabulary vocabulary(std::move(read.parts));
  MergeTable merges = read.merges(vocabulary);
  TextRules rules = text_rules(read);
  if (read.rules.is_byte_level)
    return std::make_unique<ByteLevelBpe>(std::move(vocabulary), std::move(rules),
                                          std::move(merges), read.whole_words);
  const SentencepieceRules pieces{.drops_prefix = read.rules.drops_prefix,
                                  .fuse_unknown = read.fuse_unknown,
                                  .whole_words = read.whole_words,
                                  .byte_fallback = read.byte_fallback};
  return std::make_unique<SentencepieceBpe>(std::move(vocabulary), std::move(rules), pieces,
                                            std::move(merges));
}

std::unique_ptr<const Tokenizer> read_huggingface_tokenizer(MappedFile file,
                                                            const ModelInfo& model) {
  return make_huggingface_tokenizer(file.bytes(), file.path(), model.vocab_size);
}

}  // namespace perdure
