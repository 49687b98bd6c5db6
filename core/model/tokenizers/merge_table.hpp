// SPDX-License-Identifier: Apache-2.0

// Which two tokens become one, by rank: the lists of merges in GGUF and tokenizer.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/flat_map.hpp"
#include "core/model/tokenizers/pair_merger.hpp"
#include "core/model/tokenizers/vocabulary.hpp"

namespace perdure {

// Immutable once all are added; any thread.
class MergeTable {
 public:
  void reserve(size_t n_merges) { merges_.reserve(n_merges); }
  // The next rank; of equal pairs the first counts.
  void add(int32_t left, int32_t right, int32_t both) {
    merges_.add(key_of(left, right), {next_rank_++, both});
  }

  // The same by how both are written, "left right" with one space between. False, and no rank is
  // taken, if these are not two tokens that make a third.
  bool add(const Vocabulary& vocabulary, std::string_view merge);
  bool add(const Vocabulary& vocabulary, std::string_view left, std::string_view right);

  // Those of lower rank have the higher score.
  std::optional<MergedPair> find(int32_t left, int32_t right) const {
    const Merge merge = merges_.find(key_of(left, right));
    if (merge.id < 0) return std::nullopt;
    return MergedPair{-static_cast<float>(merge.rank), merge.id};
  }

 private:
  struct Merge {
    int32_t rank = 0, id = -1;
  };
  // Multiplied by 2^64 over the golden ratio: the upper half of the product depends on both ids.
  struct Hash {
    uint64_t operator()(uint64_t key) const { return key * 0x9E3779B97F4A7C15u >> 32; }
  };

  static uint64_t key_of(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }

  FlatMap<uint64_t, Merge, Hash> merges_;
  int32_t next_rank_ = 0;
};

}  // namespace perdure
