// SPDX-License-Identifier: Apache-2.0

// The operation `mix_rows` of attention.chunk_lstm: rows of a state, mixed causally.
#pragma once

#include <span>

#include "core/api/graph.hpp"
#include "core/api/kernel.h"

namespace perdure {

// Per row i with r = index_i: sum over s = 0 .. r of mix[r, s] * rows_state[s], summed in that
// order. What stands right of the diagonal of mix is never read. rows_state [m, d], mix a constant
// [m, m] F32, index [rows, 1]; result [rows, d].
Value mix_rows(GraphBuilder& g, Value rows_state, Value mix, Value index);

Operation mix_rows_operation();
std::span<const perdure_kernel> mix_rows_kernels();

}  // namespace perdure
