// SPDX-License-Identifier: Apache-2.0

// Implements turned_keys.hpp. A set's table has rows for 0 .. kBlock - 1 places and for multiples
// of kBlock, so that it grows by one row for every kBlock places.
#include "plugins/attention/full/turned_keys.hpp"

#include <cmath>

namespace perdure {
namespace {

constexpr int64_t kBlock = 256;

void add_row(std::vector<float>& table, std::span<const float> frequencies, int64_t place) {
  for (const float frequency : frequencies) {
    const double angle = static_cast<double>(place) * double{frequency};
    table.insert(table.end(),
                 {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))});
  }
}

}  // namespace

TurnedKeys::TurnedKeys(const ModelInfo& model, const RopeScaling& scaling, int64_t n_places)
    : rotary_(model.rotated_size()) {
  const auto pairs = static_cast<size_t>(rotary_ / 2);
  for (size_t set = 0; set < static_cast<size_t>(scaling.sets()); ++set) {
    // Rows that turn by this set look at no key beyond themselves.
    const int64_t end = set < scaling.first_places.size()
                            ? std::min(scaling.first_places[set], n_places)
                            : n_places;
    const auto frequencies = std::span(scaling.frequencies).subspan(set * pairs, pairs);
    first_rows_.push_back(static_cast<float>(table_.size() / static_cast<size_t>(rotary_)));
    for (int64_t place = 0; place < kBlock; ++place) add_row(table_, frequencies, place);
    for (int64_t place = 0; place < end; place += kBlock) add_row(table_, frequencies, place);
  }
}

Value TurnedKeys::table(GraphBuilder& g) const {
  size_t hash = 0;
  for (const float angle : table_) hash = hash * 31 + std::hash<float>()(angle);
  return g.constant("turned_keys/" + std::to_string(hash),
                    static_cast<int64_t>(table_.size()) / rotary_, rotary_, table_);
}

op::KeyRange TurnedKeys::turned(GraphBuilder& g, const RotaryProjections& projections,
                                op::KeyRange range, Value place) const {
  range.range =
      op::shift_range(g, range.range, projections.by_set(g, place, "turned_rows", first_rows_));
  range.rotate = true;
  range.angle_block = kBlock;
  return range;
}

}  // namespace perdure
