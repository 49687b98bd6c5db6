// SPDX-License-Identifier: Apache-2.0

// Which two tokens become one, by rank: the lists of merges in GGUF and tokenizer.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "core/model/tokenizers/pair_merger.hpp"
#include "core/model/tokenizers/vocabulary.hpp"

namespace perdure {

// Immutable once all are added; any thread.
class MergeTable {
 public:
  void reserve(size_t n_merges) { merges_.reserve(n_merges); }
  // The next rank; of equal pairs the first counts.
  void add(int32_t left, int32_t right, int32_t both) {
    merges_.try_emplace(key_of(left, right), Merge{next_rank_++, both});
  }

  // The same by how both are written, "left right" with one space between. False, and no rank is
  // taken, if these are not two tokens that make a third.
  bool add(const Vocabulary& vocabulary, std::string_view merge);
  bool add(const Vocabulary& vocabulary, std::string_view left, std::string_view right);

  // Those of lower rank have the higher score.
  std::optional<MergedPair> find(int32_t left, int32_t right) const {
    const auto merge = merges_.find(key_of(left, right));
    if (merge == merges_.end()) return std::nullopt;
    return MergedPair{-static_cast<float>(merge->second.rank), merge->second.id};
  }

 private:
  struct Merge {
    int32_t rank, id;
  };

  static uint64_t key_of(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }

  std::unordered_map<uint64_t, Merge> merges_;
  int32_t next_rank_ = 0;
};

}  // namespace perdure
