// SPDX-License-Identifier: Apache-2.0

// Merging against its definition: the best pair of all is looked for anew after each merge.
#include "core/model/tokenizers/pair_merger.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>

using namespace perdure;

namespace {

using Pieces = std::vector<TextPiece>;
using Ids = std::vector<int32_t>;

// Pairs of 8 tokens become a third one for about half of all pairs; few scores, so many are equal.
struct Merges {
  explicit Merges(uint32_t seed) {
    std::mt19937 random(seed);
    for (int32_t left = 0; left < 8; ++left)
      for (int32_t right = 0; right < 8; ++right)
        if (random() % 2 == 0)
          pairs[{left, right}] = {-static_cast<float>(random() % 5),
                                  static_cast<int32_t>(random() % 8)};
  }

  std::optional<MergedPair> operator()(const TextPiece& left, const TextPiece& right) const {
    const auto found = pairs.find({left.id, right.id});
    return found == pairs.end() ? std::nullopt : std::optional(found->second);
  }

  std::map<std::pair<int32_t, int32_t>, MergedPair> pairs;
};

Pieces pieces_of(const Ids& ids) {
  Pieces pieces;
  for (size_t i = 0; i < ids.size(); ++i) pieces.push_back({i, i + 1, ids[i]});
  return pieces;
}

Ids merged_by_definition(Ids ids, const Merges& merges) {
  while (true) {
    std::optional<MergedPair> best;
    size_t place = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i)
      if (const auto both = merges({.id = ids[i]}, {.id = ids[i + 1]});
          both && (!best || both->score > best->score)) {
        best = both;
        place = i;
      }
    if (!best) return ids;
    ids[place] = best->id;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

Ids merged(const Ids& ids, const Merges& merges) {
  Ids made;
  size_t end = 0;
  for (const TextPiece& piece : merge_pairs(pieces_of(ids), merges)) {
    CHECK(piece.begin == end);
    end = piece.end;
    made.push_back(piece.id);
  }
  CHECK(end == ids.size());
  return made;
}

}  // namespace

TEST_CASE("few and many pieces are merged as if the best pair were looked for after each merge") {
  std::mt19937 random(1);
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const Merges merges(seed);
    for (const size_t size : {size_t{0}, size_t{1}, size_t{2}, size_t{7}, kFewPieces - 1,
                              kFewPieces, kFewPieces + 1, 3 * kFewPieces}) {
      Ids ids(size);
      for (int32_t& id : ids) id = static_cast<int32_t>(random() % 8);
      REQUIRE(merged(ids, merges) == merged_by_definition(ids, merges));
    }
  }
}
