// SPDX-License-Identifier: Apache-2.0

// Rows whose numbers a graph computes lie where there are rows. Kernels trust them; a strategy that
// is wrong would otherwise crash, or read memory that is not its session's. Looked at once per row
// and node, before the node runs, in every mode.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/runtime/plan.hpp"

namespace perdure {

// A row of a step that would reach outside, and how; none if `use` is nullptr.
struct OutOfBounds {
  int64_t row = 0;
  const StateUse* use = nullptr;
};

// The first one of a node whose inputs are computed. Allocates nothing; any thread. Cost: per row
// and use a few comparisons, or one per key of a list.
OutOfBounds find_out_of_bounds(const PlanNode& node, const perdure_step& step) noexcept;

// The same of one use by one row.
bool is_outside(const PlanNode& node, const StateUse& use, const perdure_step& step,
                int64_t row) noexcept;

// What it does, as the end of a sentence about the node.
std::string to_text(const OutOfBounds& found, const PlanNode& node, const perdure_step& step);

// Live rows of a counted state that its kernel has set to less than 0 or more than there are.
struct Miscount {
  uint32_t input = 0;  // of the node
  int64_t session = 0, rows = 0, most = 0;
};

// The first one among the states of a node that has run. Allocates nothing; any thread.
std::optional<Miscount> find_miscount(const PlanNode& node, const perdure_step& step) noexcept;

// What it does, as the end of a sentence about the kernel.
std::string to_text(const Miscount& found);

// A row of a step by session and position, as the subject of such an end.
std::string row_text(const perdure_step& step, int64_t row);

// Row `row` of a value that has rows of its own.
template <class T>
const T* row_of(const perdure_value& v, int64_t row) {
  return reinterpret_cast<const T*>(static_cast<const char*>(v.tensor.data) +
                                    row * v.tensor.row_stride_bytes);
}

}  // namespace perdure
