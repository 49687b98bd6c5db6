// SPDX-License-Identifier: Apache-2.0

// Element types, tensor views and CPU features: the plain C vocabulary that every kernel plugin and
// the host share. Compiles as C11 and as C++. Nothing here owns memory.
#pragma once

#include <stdint.h>

// How the values of a tensor are stored. Numbers are part of the ABI: append, never renumber.
enum perdure_dtype {
  PERDURE_F32 = 0,
  PERDURE_F16 = 1,
  PERDURE_BF16 = 2,
  // int8 values, and one F32 scale for every `group_size` consecutive values of the flattened
  // tensor: value[i] = data[i] * scales[i / group_size]. The type of llama2.c's version 2 files and
  // of quantised activations.
  PERDURE_Q80 = 3,
  PERDURE_I64 = 4,
  // GGUF's blocks of 32 values of a row, scales inside.
  PERDURE_Q8_0 = 5,
  PERDURE_Q4_0 = 6,
  PERDURE_Q4_1 = 7,
  PERDURE_Q5_0 = 8,
  PERDURE_Q5_1 = 9,
  // GGUF's blocks of 256 values. Q8_K is a type of activations only.
  PERDURE_Q4_K = 10,
  PERDURE_Q5_K = 11,
  PERDURE_Q6_K = 12,
  PERDURE_Q8_K = 13
};

#ifdef __cplusplus
#define PERDURE_CONSTEXPR constexpr
#else
#define PERDURE_CONSTEXPR
#endif

// Values that are stored together: 1 for plain types; 0 for unknown ones. A row has a whole number
// of blocks.
static inline PERDURE_CONSTEXPR int64_t perdure_block_values(uint32_t dtype) {
  if (dtype <= PERDURE_I64) return 1;
  if (dtype <= PERDURE_Q5_1) return 32;
  return dtype <= PERDURE_Q8_K ? 256 : 0;
}

// Their bytes; of Q80 without its share of a scale. 0 for unknown types.
static inline PERDURE_CONSTEXPR int64_t perdure_block_bytes(uint32_t dtype) {
  switch (dtype) {
    case PERDURE_F32:
      return 4;
    case PERDURE_F16:
    case PERDURE_BF16:
      return 2;
    case PERDURE_Q80:
      return 1;
    case PERDURE_I64:
      return 8;
    case PERDURE_Q8_0:
      return 34;
    case PERDURE_Q4_0:
      return 18;
    case PERDURE_Q4_1:
      return 20;
    case PERDURE_Q5_0:
      return 22;
    case PERDURE_Q5_1:
      return 24;
    case PERDURE_Q4_K:
      return 144;
    case PERDURE_Q5_K:
      return 176;
    case PERDURE_Q6_K:
      return 210;
    case PERDURE_Q8_K:
      return 292;
    default:
      return 0;
  }
}

// Bytes of a row of `columns` values; 0 if the type is unknown or the row is no whole number of
// blocks.
static inline PERDURE_CONSTEXPR int64_t perdure_row_bytes(uint32_t dtype, int64_t columns) {
  const int64_t values = perdure_block_values(dtype);
  return values == 0 || columns % values != 0 ? 0 : columns / values * perdure_block_bytes(dtype);
}

// A borrowed view of a row-major tensor, outermost dimension first. Each row is contiguous.
typedef struct perdure_tensor {
  uint32_t struct_size;      // sizeof(perdure_tensor) of whoever filled it
  uint32_t dtype;            // enum perdure_dtype
  int32_t device;            // 0 = host memory
  uint32_t rank;             // 1 or 2
  int64_t shape[4];          // only the first `rank` entries are meaningful; the others are 1
  int64_t row_stride_bytes;  // distance between rows of `data`; more than a row in views of columns
  void* data;                // may be unaligned for memory-mapped weights
  // Q80 only: F32, possibly unaligned; the value at row r, column c has the scale (r *
  // row_stride_bytes + c) / group_size.
  void* scales;
  int64_t group_size;  // Q80 only, else 0
} perdure_tensor;

// CPU features a kernel may require. The host checks that the CPU has them and that the OS saves
// their registers.
enum perdure_cpu_feature {
  PERDURE_CPU_AVX2 = 1u << 0,
  PERDURE_CPU_FMA = 1u << 1,
  PERDURE_CPU_F16C = 1u << 2,
  PERDURE_CPU_AVX512 = 1u << 3,  // F, CD, DQ, BW and VL together
  PERDURE_CPU_AVX512_VNNI = 1u << 4,
  PERDURE_CPU_AVX512_BF16 = 1u << 5
};
