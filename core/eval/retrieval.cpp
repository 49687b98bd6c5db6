// SPDX-License-Identifier: Apache-2.0

#include "core/eval/retrieval.hpp"

#include <algorithm>
#include <numeric>
#include <string>

#include "core/eval/question.hpp"
#include "core/eval/random.hpp"

namespace perdure {
namespace {

constexpr int32_t kFirstId = Tokenizer::kEos + 1;  // of ids that mean nothing special

void append(std::vector<int32_t>& tokens, const std::vector<int32_t>& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
}

int64_t questions_of(int64_t n_pairs) { return std::min(n_pairs, kMostQuestions); }

// Pairs, and questions whose last value is not read.
int64_t recall_size(int64_t n_pairs) { return 2 * n_pairs + 2 * questions_of(n_pairs) - 1; }

}  // namespace

int64_t Passkey::size() const {
  return 1 + std::ssize(needle) + std::ssize(question) + std::ssize(answer) - 1;
}

Passkey make_passkey(const Tokenizer& tokenizer, int64_t digits, uint64_t seed, int64_t sample) {
  EvalRandom random(seed, static_cast<uint64_t>(sample));
  std::string key;
  for (int64_t i = 0; i < digits; ++i) key += static_cast<char>('0' + random.below(10));
  Question question =
      encode_question(tokenizer, "What is the pass key? The pass key is", key, false);
  return {tokenizer.encode("The pass key is " + key + ". Remember it. " + key + " is the pass key.",
                           false, false),
          std::move(question.prompt), std::move(question.answer)};
}

Window passkey_window(const Passkey& key, const EvalText& text, int64_t end, int64_t length,
                      double depth) {
  const int64_t n_filling = length - key.size();
  const auto filling = text.tokens.begin() + (end - n_filling);
  const auto before = static_cast<std::ptrdiff_t>(depth * static_cast<double>(n_filling));
  std::vector<int32_t> context{Tokenizer::kBos};
  context.insert(context.end(), filling, filling + before);
  append(context, key.needle);
  context.insert(context.end(), filling + before, filling + n_filling);
  append(context, key.question);
  return answer_window(std::move(context), key.answer);
}

bool recall_fits(int64_t n_pairs, int64_t length, int64_t vocab_size) {
  return n_pairs >= 1 && recall_size(n_pairs) <= length && n_pairs < vocab_size - kFirstId;
}

Window recall_window(int64_t n_pairs, int64_t length, int64_t vocab_size, uint64_t seed,
                     int64_t sample) {
  EvalRandom random(seed, static_cast<uint64_t>(sample));
  std::vector<int32_t> ids(static_cast<size_t>(vocab_size - kFirstId));
  std::iota(ids.begin(), ids.end(), kFirstId);
  random.shuffle(std::span(ids));
  const std::span<const int32_t> keys = std::span(ids).first(static_cast<size_t>(n_pairs));
  const std::span<const int32_t> others = std::span(ids).subspan(static_cast<size_t>(n_pairs));
  const auto any = [&] { return others[static_cast<size_t>(random.below(std::ssize(others)))]; };
  std::vector<int32_t> tokens;
  for (const int32_t key : keys) tokens.insert(tokens.end(), {key, any()});
  for (int64_t i = recall_size(n_pairs); i < length; ++i) tokens.push_back(any());
  std::vector<size_t> order(keys.size());
  std::iota(order.begin(), order.end(), size_t{0});
  random.shuffle(std::span(order));
  order.resize(static_cast<size_t>(questions_of(n_pairs)));
  std::vector<int32_t> asked;
  for (const size_t pair : order)
    asked.insert(asked.end(), {tokens[2 * pair], tokens[2 * pair + 1]});
  tokens.push_back(asked.front());
  asked.erase(asked.begin());
  return answer_window(std::move(tokens), asked);
}

std::vector<int32_t> random_passage(int64_t size, int64_t vocab_size, uint64_t seed,
                                    int64_t sample) {
  EvalRandom random(seed, static_cast<uint64_t>(sample));
  std::vector<int32_t> passage(static_cast<size_t>(size));
  for (auto id = passage.rbegin(); id != passage.rend(); ++id)
    *id = kFirstId + static_cast<int32_t>(random.below(vocab_size - kFirstId));
  return passage;
}

Window copy_window(const std::vector<int32_t>& passage, int64_t tail) {
  std::vector<int32_t> context{Tokenizer::kBos};
  append(context, passage);
  context.push_back(Tokenizer::kBos);
  Window window = answer_window(std::move(context), passage);
  const int64_t n_scored = std::min(tail, std::ssize(passage));
  window.targets.erase(window.targets.begin(), window.targets.end() - n_scored);
  return window;
}

}  // namespace perdure
