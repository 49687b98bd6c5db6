// SPDX-License-Identifier: Apache-2.0

#include "core/model/tokenizers/gguf_tokenizer.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/shown_name.hpp"
#include "core/model/tokenizers/byte_level_bpe.hpp"
#include "core/model/tokenizers/gguf_own_keys.hpp"
#include "core/model/tokenizers/pre_patterns.hpp"
#include "core/model/tokenizers/rwkv_world.hpp"
#include "core/model/tokenizers/sentencepiece_bpe.hpp"

namespace perdure {
namespace {

constexpr std::string_view kPre = "tokenizer.ggml.pre";
constexpr std::string_view kMerges = "tokenizer.ggml.merges";
constexpr std::string_view kScores = "tokenizer.ggml.scores";

const PrePatterns& read_pre(const Gguf& file) {
  const auto name = file.text(kPre);
  if (!name) file.fail_missing(kPre);
  const PrePatterns* pre = find_pre_patterns(*name);
  if (pre == nullptr)
    file.fail(kPre,
              "is '" + shown_name(*name) +
                  "', which is not supported; gpt-2, llama-bpe, qwen2, smollm and tekken are");
  return *pre;
}

MergeTable read_merges(const Gguf& file, const Vocabulary& vocabulary) {
  const GgufValue* value = file.find(kMerges);
  if (value == nullptr) file.fail_missing(kMerges);
  if (value->count > kMostMerges)
    file.fail(kMerges, "has " + std::to_string(value->count) + " elements, more than " +
                           std::to_string(kMostMerges));
  const std::vector<std::string_view> merges = file.texts(kMerges);
  MergeTable table;
  table.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank)
    if (!table.add(vocabulary, merges[rank]))
      file.fail(kMerges, "has the merge " + std::to_string(rank) + ", '" +
                             shown_name(merges[rank]) +
                             "', which is not of two tokens that make a third");
  return table;
}

// Only files of this program say it.
std::shared_ptr<const TextRewriter> read_normalizer(const Gguf& file) {
  const auto name = file.text(kGgufNormalizer);
  if (!name) return nullptr;
  if (*name != kGgufComposes)
    file.fail(kGgufNormalizer, "is '" + shown_name(*name) + "', which is not supported; " +
                                   std::string(kGgufComposes) + " is");
  const auto steps = std::make_shared<TextSteps>();
  steps->compose();
  return steps;
}

std::unique_ptr<const Tokenizer> make_byte_level(GgufVocabulary& read) {
  const PrePatterns& pre = read_pre(read.file());
  TextRules rules;
  rules.as_given = AddedTokens::user_defined(read.vocabulary());
  rules.rewrite = read_normalizer(read.file());
  for (const char* pattern : pre.patterns) rules.words.emplace_back(pattern);
  MergeTable merges = read_merges(read.file(), read.vocabulary());
  return std::make_unique<ByteLevelBpe>(read.take(), std::move(rules), std::move(merges),
                                        pre.whole_words);
}

std::vector<float> read_scores(const Gguf& file, int32_t n_tokens) {
  std::vector<float> scores = file.reals(kScores);
  if (static_cast<int32_t>(scores.size()) != n_tokens)
    file.fail(kScores, "has " + std::to_string(scores.size()) + " elements for " +
                           std::to_string(n_tokens) + " tokens");
  for (const float score : scores)
    if (std::isnan(score)) file.fail(kScores, "holds a score that is not a number");
  return scores;
}

// Only files of this program say another than the first.
PrefixRule read_prefix_rule(const Gguf& file) {
  const auto name = file.text(kGgufSpacePrefix);
  if (!name) return kGgufSpacePrefixes.front().rule;
  const auto* found = std::ranges::find(kGgufSpacePrefixes, *name, &GgufSpacePrefix::name);
  if (found == kGgufSpacePrefixes.end())
    file.fail(kGgufSpacePrefix, "is '" + shown_name(*name) +
                                    "', which is not supported; always, unless_there and "
                                    "text_unless_there are");
  return found->rule;
}

// A token that stands in the text as it is begins a new piece of text, with a prefix of its own, as
// in llama.cpp.
std::unique_ptr<const Tokenizer> make_sentencepiece(GgufVocabulary& read) {
  const bool prefix = read.file().flag("tokenizer.ggml.add_space_prefix").value_or(true);
  TextRules rules;
  rules.as_given = AddedTokens::user_defined(read.vocabulary());
  if (prefix) rules.spaces = marked_spaces(read_prefix_rule(read.file()));
  if (!prefix) rules.spaces.replace(" ", std::string(kSentencepieceSpace));
  SentencepieceRules pieces{.drops_prefix = prefix};
  std::vector<float> scores = read_scores(read.file(), read.vocabulary().size());
  return std::make_unique<SentencepieceBpe>(read.take(), std::move(rules), pieces,
                                            std::move(scores));
}

std::unique_ptr<const Tokenizer> make_rwkv(const GgufVocabulary& read) {
  return std::make_unique<RwkvWorldTokenizer>(RwkvWorldTokenizer::read_gguf(read));
}

}  // namespace

std::unique_ptr<const Tokenizer> make_gguf_tokenizer(GgufVocabulary read) {
  constexpr std::string_view kModel = "tokenizer.ggml.model";
  const auto kind = read.file().text(kModel);
  if (!kind) read.file().fail_missing(kModel);
  if (*kind == "llama") return make_sentencepiece(read);
  if (*kind == "gpt2") return make_byte_level(read);
  if (*kind == "rwkv") return make_rwkv(read);
  read.file().fail(
      kModel, "is '" + shown_name(*kind) + "', which is not supported; llama, gpt2 and rwkv are");
}

std::unique_ptr<const Tokenizer> read_gguf_tokenizer(MappedFile file, const ModelInfo& model) {
  return make_gguf_tokenizer(GgufVocabulary(std::move(file), model.vocab_size));
}

}  // namespace perdure
