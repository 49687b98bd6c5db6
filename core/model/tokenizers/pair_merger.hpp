// SPDX-License-Identifier: Apache-2.0

// Byte-pair merging: neighbours become one, the best pair of all first. Same result as looking for
// the best pair again after each merge, in O(n log n); short words are merged in exactly that way.
#pragma once

#include <array>
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

// Fewer pieces are merged without a queue: what is looked through lies in a few cache lines.
constexpr size_t kFewPieces = 32;

// merge_pairs for few pieces, by looking through all pairs for the best.
template <class Find>
class FewPiecesMerger {
 public:
  // Requires: at most kFewPieces pieces.
  FewPiecesMerger(std::vector<TextPiece>& pieces, const Find& find)
      : pieces_(pieces), find_(find), size_(pieces.size()) {
    for (size_t i = 0; i < size_; ++i) look(i);
  }

  void merge() {
    for (size_t best = best_pair(); best < size_; best = best_pair()) join(best);
    pieces_.resize(size_);
  }

 private:
  // What the pair of i and i + 1 becomes.
  void look(size_t i) {
    pairs_[i] = MergedPair();
    if (i + 1 == size_) return;
    if (const std::optional<MergedPair> both = find_(pieces_[i], pieces_[i + 1])) pairs_[i] = *both;
  }

  // size_: no pair becomes anything.
  size_t best_pair() const {
    size_t best = size_;
    for (size_t i = 0; i < size_; ++i)
      if (pairs_[i].id >= 0 && (best == size_ || pairs_[i].score > pairs_[best].score)) best = i;
    return best;
  }

  void join(size_t i) {
    pieces_[i].end = pieces_[i + 1].end;
    pieces_[i].id = pairs_[i].id;
    --size_;
    for (size_t at = i + 1; at < size_; ++at) {
      pieces_[at] = pieces_[at + 1];
      pairs_[at] = pairs_[at + 1];
    }
    if (i > 0) look(i - 1);
    look(i);
  }

  std::vector<TextPiece>& pieces_;
  const Find& find_;
  size_t size_;
  std::array<MergedPair, kFewPieces> pairs_;
};

// Merges neighbours for as long as `find(left, right)` knows what they become. Requires: pieces in
// the order of the text, each beginning where the one before ends.
template <class Find>
std::vector<TextPiece> merge_pairs(std::vector<TextPiece> pieces, const Find& find) {
  if (pieces.size() <= kFewPieces) {
    FewPiecesMerger(pieces, find).merge();
    return pieces;
  }
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
