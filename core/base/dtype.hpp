// SPDX-License-Identifier: Apache-2.0

// Sizes, names and activations of the element types of core/api/types.h. Pure; any thread.
#pragma once

#include <cstdint>

#include "core/api/types.h"

namespace perdure {

// Bytes of one element; of Q80 without its share of a scale. 0 for types that are stored in blocks
// and for unknown ones: their rows have sizes (perdure_row_bytes), their elements have none.
constexpr int64_t element_bytes(uint32_t dtype) {
  return perdure_block_values(dtype) == 1 ? perdure_block_bytes(dtype) : 0;
}

// Whether values share scales, in groups (Q80) or blocks.
constexpr bool is_quantised(uint32_t dtype) {
  return dtype == PERDURE_Q80 || perdure_block_values(dtype) != 1;
}

// "f32", "q80", "q4_k", ...: as in the names of kernels.
constexpr const char* dtype_name(uint32_t dtype) {
  constexpr const char* kNames[] = {"f32",  "f16",  "bf16", "q80",  "i64",  "q8_0", "q4_0",
                                    "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k", "q8_k"};
  return dtype <= PERDURE_Q8_K ? kNames[dtype] : "?";
}

// The type to which rows are quantised before products with weights of that type; F32: they are
// not.
constexpr perdure_dtype activation_type(uint32_t weight_dtype) {
  if (weight_dtype == PERDURE_Q80) return PERDURE_Q80;
  if (perdure_block_values(weight_dtype) == 32) return PERDURE_Q8_0;
  return perdure_block_values(weight_dtype) == 256 ? PERDURE_Q8_K : PERDURE_F32;
}

}  // namespace perdure
