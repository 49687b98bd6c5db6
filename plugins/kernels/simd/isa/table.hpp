// SPDX-License-Identifier: Apache-2.0

// What the objects of one instruction set give to the baseline code: a table of functions, nothing
// else.
#pragma once

#include <stdint.h>

#include "core/api/kernel.h"

namespace perdure::simd {

using Run = int (*)(const perdure_call*, int64_t begin, int64_t end, void* scratch);

struct IsaTable {
  Run add, mul, silu_mul, add_row, mul_row, scale_rows;
  Run sigmoid, silu, tanh, exp, gelu, gelu_tanh, relu_square;
  Run rms_norm, group_norm, softmax, rope, quantize, quantize_q8_0, quantize_q8_k, attend;
  Run mat_mul_f32, mat_mul_f16, mat_mul_bf16, mat_mul_f32_q80, mat_mul_q80;
};

// Products with weights in GGUF's blocks, by the type of the weights: of quantised rows
// (kBlockTable), and of F32 rows (kDequantisedTable).
struct BlockTable {
  Run q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k, q6_k;
};

namespace avx2 {
extern const IsaTable kTable;
extern const BlockTable kBlockTable, kDequantisedTable;
}  // namespace avx2
namespace avx512 {
extern const IsaTable kTable;
extern const BlockTable kBlockTable, kDequantisedTable;
}  // namespace avx512
namespace avx512vnni {
extern const BlockTable kBlockTable;
int run_mat_mul_q80(const perdure_call*, int64_t begin, int64_t end, void* scratch);
}  // namespace avx512vnni

// Weight rows that are made F32 together for rows in F32: whole panels of block_layout.hpp.
constexpr int64_t kDequantisedRows = 32;

// Query rows that `attend` takes through a block of keys together, and the length of that block.
constexpr int64_t kRowsPerTile = 16;
constexpr int64_t kKeysPerBlock = 64;

// Where attend keeps what, in floats from the beginning of its scratch; scores come first.
struct AttendScratch {
  int64_t keys, values, gathered, size;
};

static inline AttendScratch attend_scratch_layout(int64_t head_size, int64_t value_size,
                                                  int64_t heads_per_kv) {
  constexpr int64_t kMostQueries = 4;
  const int64_t keys = kMostQueries * kKeysPerBlock;
  const int64_t values = keys + kKeysPerBlock * head_size;
  const int64_t gathered = values + kKeysPerBlock * value_size;
  return {keys, values, gathered, gathered + kRowsPerTile * heads_per_kv * (value_size + 2)};
}

}  // namespace perdure::simd
