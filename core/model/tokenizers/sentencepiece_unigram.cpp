// SPDX-License-Identifier: Apache-2.0

// Sums in the order and in the types of sentencepiece, so that ties fall as they do there.
#include "core/model/tokenizers/sentencepiece_unigram.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/utf8.hpp"

namespace perdure {
namespace {

// How much worse than the worst token a character is that no token is written as.
constexpr float kUnknownPenalty = 10.0F;

}  // namespace

// The best way to come to a place of the text.
struct SentencepieceUnigram::Step {
  float score = 0;
  int32_t id = -1;  // of the last token; -1: a character that is none
  size_t begin = kNowhere;

  static constexpr size_t kNowhere = static_cast<size_t>(-1);
};

SentencepieceUnigram::SentencepieceUnigram(Vocabulary vocabulary, TextRules rules,
                                           const SentencepieceRules& pieces,
                                           std::vector<float> scores)
    : SentencepieceTokenizer(std::move(vocabulary), std::move(rules), pieces),
      scores_(std::move(scores)) {
  build_trie();
  find_limits();
}

void SentencepieceUnigram::build_trie() {
  std::vector<std::pair<std::string_view, int32_t>> tokens;
  for (int32_t id = 0; id < vocabulary().size(); ++id) {
    const std::string_view token = vocabulary().token(id);
    if (!token.empty() && vocabulary().find(token) == id) tokens.emplace_back(token, id);
  }
  std::ranges::sort(tokens);
  trie_ = ByteTrie(tokens);
}

void SentencepieceUnigram::find_limits() {
  float lowest = std::numeric_limits<float>::max();
  // Above zero, as there: logarithms of probabilities are below it, so that user-defined tokens
  // cost nearly nothing.
  highest_ = std::numeric_limits<float>::min();
  for (int32_t id = 0; id < vocabulary().size(); ++id) {
    if (vocabulary().kind(id) != TokenKind::kNormal) continue;
    lowest = std::min(lowest, scores_[static_cast<size_t>(id)]);
    highest_ = std::max(highest_, scores_[static_cast<size_t>(id)]);
  }
  unknown_score_ = lowest - kUnknownPenalty;
}

// User-defined tokens are better than any others that are as long.
double SentencepieceUnigram::score_of(int32_t id, size_t size_bytes) const {
  if (vocabulary().kind(id) == TokenKind::kUserDefined)
    return static_cast<float>(size_bytes) * highest_ - 0.1;
  return scores_[static_cast<size_t>(id)];
}

void SentencepieceUnigram::try_tokens(std::string_view word, size_t begin,
                                      std::vector<Step>& ends) const {
  const float here = ends[begin].score;
  const size_t character = utf8_character(word.substr(begin));
  const auto offer = [&](size_t end, int32_t id, double score) {
    Step& step = ends[end];
    if (step.begin == Step::kNowhere || score > step.score)
      step = {static_cast<float>(score), id, begin};
  };
  bool has_character = false;
  uint32_t node = ByteTrie::kRoot;
  for (size_t end = begin; end < word.size();) {
    node = trie_.child(node, word[end++]);
    if (node == ByteTrie::kRoot) break;
    const int32_t id = trie_.id(node);
    if (id < 0) continue;
    offer(end, id, score_of(id, end - begin) + here);
    has_character |= end - begin == character;
  }
  if (!has_character) offer(begin + character, -1, unknown_score_ + here);
}

void SentencepieceUnigram::encode_word(std::string_view word, size_t offset,
                                       std::vector<int32_t>& ids) const {
  std::vector<Step> ends(word.size() + 1);
  for (size_t at = 0; at < word.size(); at += utf8_character(word.substr(at)))
    try_tokens(word, at, ends);
  std::vector<size_t> path;
  for (size_t end = word.size(); end > 0; end = ends[end].begin) path.push_back(end);
  const size_t first = ids.size();
  for (size_t i = path.size(); i-- > 0;) {
    const Step& step = ends[path[i]];
    if (step.id >= 0)
      ids.push_back(step.id);
    else
      append_unknown(word.substr(step.begin, path[i] - step.begin), offset, first, ids);
  }
}

}  // namespace perdure
