// SPDX-License-Identifier: Apache-2.0

#include "core/model/conversion/merge_scores.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "core/base/shown_name.hpp"
#include "core/base/utf8.hpp"
#include "core/model/conversion/vocabulary_keys.hpp"
#include "core/model/tokenizers/pair_merger.hpp"

namespace perdure {
namespace {

// All ways to part a longer token would take too long, and no real one is as long.
constexpr size_t kMostTokenBytes = 512;

class MergeScores {
 public:
  explicit MergeScores(const HuggingFaceVocabulary& read)
      : read_(read), vocabulary_(read.parts), merges_(read.merges(vocabulary_)) {}

  std::vector<float> run() {
    number_tokens();
    for (int32_t id = 0; id < vocabulary_.size(); ++id)
      if (vocabulary_.find(vocabulary_.token(id)) == id) check_pairs(id);
    return std::move(scores_);
  }

 private:
  struct Pair {
    std::string_view left, right;
    float score;  // of the list
  };

  void number_tokens() {
    const auto n_tokens = static_cast<size_t>(vocabulary_.size());
    scores_.assign(n_tokens, 0);
    std::vector<bool> seen(n_tokens);
    int32_t before = -1, n_seen = 0;
    for (size_t i = 0; i < read_.json->n_merges(); ++i) {
      const auto [left, right] = read_.json->merge(i);
      const int32_t id = vocabulary_.find(std::string(left).append(right));
      if (id == before) continue;
      before = id;
      if (seen[static_cast<size_t>(id)])
        throw GgufLacks("its merges into '" + shown_name(vocabulary_.token(id)) +
                        "' stand apart in the list");
      seen[static_cast<size_t>(id)] = true;
      scores_[static_cast<size_t>(id)] = -static_cast<float>(n_seen++);
    }
  }

  void check_pairs(int32_t id) const {
    const std::string_view token = vocabulary_.token(id);
    if (token.size() > kMostTokenBytes)
      throw GgufLacks("it has a token of more than " + std::to_string(kMostTokenBytes) + " bytes");
    std::vector<Pair> pairs;
    for (size_t at = utf8_character(token); at < token.size();
         at += utf8_character(token.substr(at)))
      if (const auto pair = pair_at(token, at)) pairs.push_back(*pair);
    check_order(token, pairs);
  }

  std::optional<Pair> pair_at(std::string_view token, size_t at) const {
    const std::string_view left = token.substr(0, at), right = token.substr(at);
    const int32_t a = vocabulary_.find(left), b = vocabulary_.find(right);
    if (a < 0 || b < 0) return std::nullopt;
    const auto merge = merges_.find(a, b);
    if (!merge)
      throw GgufLacks("its list of merges has no '" + shown_name(left) + " " + shown_name(right) +
                      "', though both and what they make are tokens");
    return Pair{left, right, merge->score};
  }

  // Where a token stands twice and shares its middle, the list may take the right one first, and
  // scores take the left one: whether a text comes so far is tried.
  void check_order(std::string_view token, const std::vector<Pair>& pairs) const {
    for (const Pair& first : pairs)
      for (const Pair& second : pairs)
        if (first.right == second.left && second.score > first.score)
          check_text(std::string(token).append(second.right));
  }

  void check_text(const std::string& text) const {
    const auto by_list = [&](const TextPiece& a, const TextPiece& b) {
      return merges_.find(a.id, b.id);
    };
    const auto by_score = [&](const TextPiece& a, const TextPiece& b) -> std::optional<MergedPair> {
      const int32_t id = vocabulary_.find(std::string_view(text).substr(a.begin, b.end - a.begin));
      if (id < 0) return std::nullopt;
      return MergedPair{scores_[static_cast<size_t>(id)], id};
    };
    const auto same = [](const TextPiece& a, const TextPiece& b) { return a.id == b.id; };
    if (!std::ranges::equal(merge_pairs(characters(text), by_list),
                            merge_pairs(characters(text), by_score), same))
      throw GgufLacks("its merges of '" + shown_name(text) + "' do not go from left to right");
  }

  std::vector<TextPiece> characters(std::string_view text) const {
    std::vector<TextPiece> pieces;
    for (size_t begin = 0, end = 0; begin < text.size(); begin = end) {
      end = begin + utf8_character(text.substr(begin));
      pieces.push_back({begin, end, vocabulary_.find(text.substr(begin, end - begin))});
    }
    return pieces;
  }

  const HuggingFaceVocabulary& read_;
  Vocabulary vocabulary_;
  MergeTable merges_;
  std::vector<float> scores_;
};

}  // namespace

std::vector<float> merge_scores(const HuggingFaceVocabulary& read) {
  return MergeScores(read).run();
}

}  // namespace perdure
