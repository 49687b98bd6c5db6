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
  PERDURE_I64 = 4
};

// A borrowed view of a dense row-major tensor, outermost dimension first.
typedef struct perdure_tensor {
  uint32_t struct_size;      // sizeof(perdure_tensor) of whoever filled it
  uint32_t dtype;            // enum perdure_dtype
  int32_t device;            // 0 = host memory
  uint32_t rank;             // 1 or 2
  int64_t shape[4];          // only the first `rank` entries are meaningful; the others are 1
  int64_t row_stride_bytes;  // distance between rows of `data`
  void* data;                // may be unaligned for memory-mapped weights
  void* scales;  // Q80 only: F32, possibly unaligned; row r begins at scale r * (n / group_size)
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
