// SPDX-License-Identifier: Apache-2.0

// Sizes and names of the element types of core/api/types.h. Pure; any thread.
#pragma once

#include <cstdint>

#include "core/api/types.h"

namespace perdure {

// Bytes of one element; of Q80 without its share of a scale.
constexpr int64_t element_bytes(uint32_t dtype) {
  switch (dtype) {
    case PERDURE_F16:
    case PERDURE_BF16:
      return 2;
    case PERDURE_Q80:
      return 1;
    case PERDURE_I64:
      return 8;
    default:
      return 4;
  }
}

// "f32", "q80", ...: as in the names of kernels.
constexpr const char* dtype_name(uint32_t dtype) {
  constexpr const char* kNames[] = {"f32", "f16", "bf16", "q80", "i64"};
  return dtype <= PERDURE_I64 ? kNames[dtype] : "?";
}

}  // namespace perdure
