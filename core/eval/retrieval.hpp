// SPDX-License-Identifier: Apache-2.0

// What the measures of retrieval (passkey, recall, copy) let a model read. Apart from the measures,
// so that it can be looked at without a model. Pure; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "core/eval/text.hpp"
#include "core/eval/windows.hpp"
#include "core/model/tokenizers/tokenizer.hpp"

namespace perdure {

// What the measures use of a vocabulary.
struct UsedIds {
  int32_t begin = 1;  // stands before a text: BOS, or where there is none, what ends one
  // Ids first .. end - 1 mean nothing special.
  int32_t first = 3;
  int32_t end = 0;

  int64_t count() const { return end - first; }
  bool operator==(const UsedIds&) const = default;
};

// Special are BOS and EOS, what lies below those of the lower half of the ids (as "unknown") and
// above those of the upper half (as marks of turns). `tokenizer` says which, or without one the
// model. Errors: UsageError if nothing begins or ends a text, or nothing but special ids is left.
UsedIds used_ids(const ModelInfo& model, const Tokenizer* tokenizer);

// Digits to be hidden and found, the same for the same seed and sample at every length and depth.
struct Passkey {
  std::vector<int32_t> needle, question, answer;

  // Tokens of a window without filling.
  int64_t size() const;
};

// Errors: as Tokenizer::encode.
Passkey make_passkey(const Tokenizer& tokenizer, int64_t digits, uint64_t seed, int64_t sample);

// The begin, filling, needle, filling, question; the digits are scored. The filling is the text
// before `end`, cut at `depth` of it (0 to 1). Requires: length >= key.size(), end >= length.
Window passkey_window(const UsedIds& ids, const Passkey& key, const EvalText& text, int64_t end,
                      int64_t length, double depth);

// Pairs of random tokens, random tokens, then some of the keys with their values: at most
// kMostQuestions. Scored are the rows from the first of these keys on; the even ones are the
// values. Keys occur nowhere else. Requires: recall_fits().
inline constexpr int64_t kMostQuestions = 8;
Window recall_window(const UsedIds& ids, int64_t n_pairs, int64_t length, uint64_t seed,
                     int64_t sample);
bool recall_fits(const UsedIds& ids, int64_t n_pairs, int64_t length);

// Random ids that are not special, made from the end: longer passages of the same sample end like
// shorter ones.
std::vector<int32_t> random_passage(const UsedIds& ids, int64_t size, uint64_t seed,
                                    int64_t sample);

// The begin, the passage, the begin, the passage; scored are the last `tail` tokens of the second
// one, or all if it has fewer. Requires: passage not empty, tail >= 1.
Window copy_window(const UsedIds& ids, const std::vector<int32_t>& passage, int64_t tail);

}  // namespace perdure
