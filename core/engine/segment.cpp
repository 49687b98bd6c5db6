// SPDX-License-Identifier: Apache-2.0

// Where a session is among the segments of its text.
#include <algorithm>

#include "core/engine/engine_impl.hpp"

namespace perdure {

Segment Segment::of_full_ones(int64_t position, int64_t length) {
  if (length == 0) return {};
  const int64_t start = position - position % length;
  return {.number = position / length, .start = start, .end = start + length};
}

void Segment::close(int64_t position, int64_t length) {
  ++number;
  start = position;
  if (position >= aligned_end) piece = aligned_end = 0;
  end = position < aligned_end ? std::min(position + piece, aligned_end) : position + length;
}

std::vector<int64_t> Segment::values() const { return {number, start, end, piece, aligned_end}; }

Segment Segment::from_values(std::span<const int64_t> values, int64_t position, int64_t length) {
  const auto require = [](bool holds) {
    if (!holds) throw Error("the snapshot's segment is none that a session can be in");
  };
  require(values.size() == 5);
  const Segment s{values[0], values[1], values[2], values[3], values[4]};
  require(s.start >= 0 && s.start <= position && position < s.end && s.end - s.start <= length);
  require(s.number >= 0 && s.number <= s.start);
  require(s.piece >= 0 && s.piece <= length && s.aligned_end >= 0);
  if (s.end < s.aligned_end) require(s.piece > 0 && s.aligned_end <= kLongestSession);
  return s;
}

}  // namespace perdure
