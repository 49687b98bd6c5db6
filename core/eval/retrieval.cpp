// SPDX-License-Identifier: Apache-2.0

#include "core/eval/retrieval.hpp"

#include <algorithm>
#include <numeric>
#include <string>

#include "core/eval/question.hpp"
#include "core/eval/random.hpp"

namespace perdure {
namespace {

void append(std::vector<int32_t>& tokens, const std::vector<int32_t>& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
}

int64_t questions_of(int64_t n_pairs) { return std::min(n_pairs, kMostQuestions); }

// Pairs, and questions whose last value is not read.
int64_t recall_size(int64_t n_pairs) { return 2 * n_pairs + 2 * questions_of(n_pairs) - 1; }

}  // namespace

UsedIds used_ids(const ModelInfo& model, const Tokenizer* tokenizer) {
  const auto vocab_size = static_cast<int32_t>(model.vocab_size);
  const int32_t bos = tokenizer ? tokenizer->bos_id() : model.bos_id;
  const std::span<const int32_t> eos = tokenizer ? tokenizer->eos_ids() : model.eos_ids;
  std::vector<int32_t> special(eos.begin(), eos.end());
  if (bos >= 0) special.push_back(bos);
  if (special.empty())
    throw UsageError(
        "the vocabulary has no token that begins or ends a text; give a tokenizer "
        "that says which");
  UsedIds ids{.begin = bos >= 0 ? bos : special.front(), .first = 0, .end = vocab_size};
  for (const int32_t id : special) {
    if (id < vocab_size / 2)
      ids.first = std::max(ids.first, id + 1);
    else
      ids.end = std::min(ids.end, id);
  }
  if (ids.count() < 1 || ids.begin >= vocab_size)
    throw UsageError("the vocabulary has nothing but special tokens");
  return ids;
}

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

Window passkey_window(const UsedIds& ids, const Passkey& key, const EvalText& text, int64_t end,
                      int64_t length, double depth) {
  const int64_t n_filling = length - key.size();
  const auto filling = text.tokens.begin() + (end - n_filling);
  const auto before = static_cast<std::ptrdiff_t>(depth * static_cast<double>(n_filling));
  std::vector<int32_t> context{ids.begin};
  context.insert(context.end(), filling, filling + before);
  append(context, key.needle);
  context.insert(context.end(), filling + before, filling + n_filling);
  append(context, key.question);
  return answer_window(std::move(context), key.answer);
}

bool recall_fits(const UsedIds& ids, int64_t n_pairs, int64_t length) {
  return n_pairs >= 1 && recall_size(n_pairs) <= length && n_pairs < ids.count();
}

Window recall_window(const UsedIds& used, int64_t n_pairs, int64_t length, uint64_t seed,
                     int64_t sample) {
  EvalRandom random(seed, static_cast<uint64_t>(sample));
  std::vector<int32_t> ids(static_cast<size_t>(used.count()));
  std::iota(ids.begin(), ids.end(), used.first);
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

std::vector<int32_t> random_passage(const UsedIds& ids, int64_t size, uint64_t seed,
                                    int64_t sample) {
  EvalRandom random(seed, static_cast<uint64_t>(sample));
  std::vector<int32_t> passage(static_cast<size_t>(size));
  for (auto id = passage.rbegin(); id != passage.rend(); ++id)
    *id = ids.first + static_cast<int32_t>(random.below(ids.count()));
  return passage;
}

Window copy_window(const UsedIds& ids, const std::vector<int32_t>& passage, int64_t tail) {
  std::vector<int32_t> context{ids.begin};
  append(context, passage);
  context.push_back(ids.begin);
  Window window = answer_window(std::move(context), passage);
  const int64_t n_scored = std::min(tail, std::ssize(passage));
  window.targets.erase(window.targets.begin(), window.targets.end() - n_scored);
  return window;
}

}  // namespace perdure
