// SPDX-License-Identifier: Apache-2.0

// Byte-pair merging: neighbours become one, the best pair of all first. Same result as looking for
// the best pair anew after each merge, in O(n log n).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

namespace perdure {

// A stretch of a text and its token; -1: none yet.
struct TextPiece {
  size_t begin = 0, end = 0;
  int32_t id = -1;
};

// What two neighbours become.
struct MergedPair {
  float score = 0;  // the highest comes first, of equal ones the one further left
  int32_t id = -1;
};

// Merges neighbours for as long as `find(left, right)` knows what they become. Requires: pieces in
// the order of the text, each beginning where the one before ends.
template <class Find>
std::vector<TextPiece> merge_pairs(std::vector<TextPiece> pieces, const Find& find) {
  struct Candidate {
    float score;
    int32_t id;
    size_t left, end;  // of what it would be; void if the neighbours have changed since

    bool operator<(const Candidate& other) const {
      return score != other.score ? score < other.score : left > other.left;
    }
  };
  constexpr size_t kNone = static_cast<size_t>(-1);
  std::vector<size_t> previous(pieces.size()), next(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    previous[i] = i == 0 ? kNone : i - 1;
    next[i] = i + 1 < pieces.size() ? i + 1 : kNone;
  }
  std::priority_queue<Candidate> queue;
  const auto note = [&](size_t left) {
    if (left == kNone || next[left] == kNone) return;
    const TextPiece& right = pieces[next[left]];
    if (const std::optional<MergedPair> both = find(pieces[left], right))
      queue.push({both->score, both->id, left, right.end});
  };
  for (size_t i = 0; i < pieces.size(); ++i) note(i);

  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    TextPiece& left = pieces[best.left];
    // A piece that was taken in is empty.
    if (left.begin == left.end || next[best.left] == kNone ||
        pieces[next[best.left]].end != best.end)
      continue;
    TextPiece& right = pieces[next[best.left]];
    next[best.left] = next[next[best.left]];
    if (next[best.left] != kNone) previous[next[best.left]] = best.left;
    left.end = right.end;
    left.id = best.id;
    right.begin = right.end;
    note(previous[best.left]);
    note(best.left);
  }
  std::erase_if(pieces, [](const TextPiece& p) { return p.begin == p.end; });
  return pieces;
}

}  // namespace perdure
