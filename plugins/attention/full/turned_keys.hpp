// SPDX-License-Identifier: Apache-2.0

// Keys that every row turns by frequencies of its own (`rope_scaling: dynamic` and `longrope`):
// they are kept un-rotated, and `attend` turns them on reading by tables of all sets of
// frequencies.
#pragma once

#include <vector>

#include "sdk/rotary_attention.hpp"

namespace perdure {

class TurnedKeys {
 public:
  // `n_places`: the most tokens of a session. Requires: several sets of frequencies.
  TurnedKeys(const ModelInfo& model, const RopeScaling& scaling, int64_t n_places);

  // The tables, [rows, rotary]; see op::KeyRange::angle_block.
  Value table(GraphBuilder& g) const;

  // A range of keys as a row at `place` turns them.
  op::KeyRange turned(GraphBuilder& g, const RotaryProjections& projections, op::KeyRange range,
                      Value place) const;

 private:
  int64_t rotary_;  // columns of a head that turn
  std::vector<float> table_;
  std::vector<float> first_rows_;  // of each set, in the table
};

}  // namespace perdure
