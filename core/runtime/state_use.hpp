// SPDX-License-Identifier: Apache-2.0

// Where a node reads and writes rows whose numbers a graph computes, as far as its operation is
// built in: what the executor keeps within bounds and what the checked mode judges.
#pragma once

#include <cstdint>
#include <vector>

#include "core/api/kernel.h"
#include "core/graph/graph.hpp"

namespace perdure {

// One way in which a node reads or writes rows of a state, of the step or of a constant.
struct StateUse {
  enum class Kind {
    kReadRow,     // row `index` [rows, 1]
    kReadNear,    // the same, but what lies outside stands for the first or last row
    kReadRange,   // rows first .. end - 1 of `index` [rows, 3]
    kReadList,    // rows list[first] .. list[end - 1] of `list` [rows, m], by `index` [rows, 3]
    kReadSource,  // row perdure_row.index, for rows whose source is `index`
    kWriteRow,    // row `index` [rows, 1], for rows of `roles`
    kAddRange,    // as kReadRange, adding to the rows; those outside are left out
    kAddList,     // as kReadList, likewise
    kUnknown      // an operation of a plugin writes; where is its own affair
  };
  // How keys are rotated as they are read: op::KeyRange.
  struct Rotation {
    uint32_t angles = 0;  // input; 0: they are not
    int64_t group = 1;
    int64_t block = 0;
  };

  // Whether that row of a step is one of those that do it.
  bool takes_part(const perdure_row& row) const {
    if (kind == Kind::kReadSource) return row.source == static_cast<int32_t>(index);
    if (kind != Kind::kWriteRow) return true;
    return row.role < 63 && ((roles >> row.role) & 1) != 0;
  }

  Kind kind = Kind::kReadRow;
  uint32_t values = 0;  // input: the state, the constant, or rows of the step
  uint32_t index = 0;   // input: the index or range
  int64_t roles = 1;    // bit mask
  uint32_t list = 0;    // input: the list
  Rotation rotation = {};
};

// Of a node of `graph`. Pure; any thread.
std::vector<StateUse> state_uses(const Graph& graph, const Node& node);

}  // namespace perdure
