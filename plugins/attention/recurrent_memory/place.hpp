// SPDX-License-Identifier: Apache-2.0

// The operation `recurrent_place` of attention.recurrent_memory: where a row stands among those of
// its segment.
#pragma once

#include <cstdint>
#include <span>

#include "core/api/graph.hpp"
#include "core/api/kernel.h"
#include "sdk/memory_rows.hpp"

namespace perdure {

// The order is read rows, the segment's tokens, write rows. `among_all`: the place among all of
// them, with `memory` read rows; otherwise among the rows of the same kind. [rows, 1] I64.
Value recurrent_place(GraphBuilder& g, int64_t memory, bool among_all);

Operation recurrent_place_operation();
std::span<const perdure_kernel> recurrent_place_kernels();

}  // namespace perdure
