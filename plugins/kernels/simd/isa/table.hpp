// SPDX-License-Identifier: Apache-2.0

// What the objects of one instruction set give to the baseline code: a table of functions, nothing
// else.
#pragma once

#include <stdint.h>

#include "core/api/kernel.h"

namespace perdure::simd {

using Run = void (*)(const perdure_call*, int64_t begin, int64_t end, void* scratch);

struct IsaTable {
  Run add, mul, scale_rows, sigmoid, silu, silu_mul, tanh;
  Run rms_norm, rope, quantize, attend;
  Run mat_mul_f32, mat_mul_f16, mat_mul_bf16, mat_mul_f32_q80, mat_mul_q80;
};

namespace avx2 {
extern const IsaTable kTable;
}
namespace avx512 {
extern const IsaTable kTable;
}
namespace avx512vnni {
void run_mat_mul_q80(const perdure_call*, int64_t begin, int64_t end, void* scratch);
}

// Query rows that `attend` takes through a block of keys together, and the length of that block.
constexpr int64_t kRowsPerTile = 8;
constexpr int64_t kKeysPerBlock = 64;

// Weight rows of Q80 that are made F32 together for rows in F32.
constexpr int64_t kDequantisedRows = 24;

// Floats of scratch that attend needs: scores of a block, its keys and values where they cannot be
// read in place, and for each row and query head of a tile the sums so far (head_size values, the
// largest score, the sum of weights).
static inline int64_t attend_scratch_floats(int64_t head_size, int64_t heads_per_kv) {
  return kKeysPerBlock * (2 * head_size + 1) + kRowsPerTile * heads_per_kv * (head_size + 2);
}

}  // namespace perdure::simd
