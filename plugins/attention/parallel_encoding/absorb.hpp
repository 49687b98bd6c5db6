// SPDX-License-Identifier: Apache-2.0

// Cross-attention without keys and values: q . (Wk e) = (Wk^T q) . e and sum of a (Wv e) =
// Wv (sum of a e), so that every head attends to the encoder's rows themselves.
#pragma once

#include <cstdint>
#include <span>

#include "core/api/graph.hpp"
#include "core/api/kernel.h"

namespace perdure {

// Each head's query by the transposed part of `w` that makes its keys. q [rows, n_heads * n], w
// [n_kv_heads * n, m] F32, F16 or BF16, head h using part h / (n_heads / n_kv_heads); result [rows,
// n_heads * m].
Value absorb_heads(GraphBuilder& g, Value q, Value w, int64_t n_heads, int64_t n_kv_heads);

// Each head's values of what it attends to: x [rows, n_heads * m], w [n_kv_heads * n, m]; result
// [rows, n_heads * n].
Value release_heads(GraphBuilder& g, Value x, Value w, int64_t n_heads, int64_t n_kv_heads);

Operation absorb_operation();
// Of every instruction set. Lives for ever.
std::span<const perdure_kernel> absorb_kernels();

}  // namespace perdure
