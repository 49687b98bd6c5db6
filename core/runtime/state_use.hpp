// SPDX-License-Identifier: Apache-2.0

// Where a node touches state, as far as its operation is built in: what the checked mode looks at.
#pragma once

#include <cstdint>
#include <vector>

#include "core/graph/graph.hpp"

namespace perdure {

// One way in which a node reads or writes a state, or rows of the step as keys.
struct StateUse {
  enum class Kind {
    kReadRow,     // row `index` [rows, 1]
    kReadRange,   // rows first .. end - 1 of `index` [rows, 3]
    kReadList,    // rows list[first] .. list[end - 1] of `list` [rows, m], by `index` [rows, 3]
    kReadSource,  // row perdure_row.index, for rows whose source is `index`
    kWriteRow,    // row `index` [rows, 1], for rows of `roles`
    kUnknown      // an operation of a plugin writes; where is its own affair
  };

  Kind kind = Kind::kReadRow;
  uint32_t values = 0;  // input: the state, or rows of the step
  uint32_t index = 0;   // input: the index or range
  int64_t roles = 1;    // bit mask
  uint32_t list = 0;    // input: the list
};

// Of a node of `graph`. Pure; any thread.
std::vector<StateUse> state_uses(const Graph& graph, const Node& node);

}  // namespace perdure
