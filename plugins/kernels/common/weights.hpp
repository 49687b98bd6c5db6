// SPDX-License-Identifier: Apache-2.0

// Reading single values of weights of any type as F32, aligned or not.
#pragma once

#include <cstdint>
#include <cstring>

#include "plugins/kernels/common/prepare.hpp"
#include "sdk/half.hpp"

namespace perdure::kernels {

inline uint16_t load_u16(const void* data, int64_t i) {
  uint16_t value;
  std::memcpy(&value, static_cast<const char*>(data) + i * sizeof value, sizeof value);
  return value;
}

// One reader per weight type: element `i` of the flattened tensor.
struct ReadF32 {
  static constexpr perdure_dtype kType = PERDURE_F32;
  static float at(const perdure_tensor& w, int64_t i) { return load_f32(w.data, i); }
};
struct ReadF16 {
  static constexpr perdure_dtype kType = PERDURE_F16;
  static float at(const perdure_tensor& w, int64_t i) { return f16_to_f32(load_u16(w.data, i)); }
};
struct ReadBf16 {
  static constexpr perdure_dtype kType = PERDURE_BF16;
  static float at(const perdure_tensor& w, int64_t i) { return bf16_to_f32(load_u16(w.data, i)); }
};
struct ReadQ80 {
  static constexpr perdure_dtype kType = PERDURE_Q80;
  static float at(const perdure_tensor& w, int64_t i) {
    return static_cast<const int8_t*>(w.data)[i] * load_f32(w.scales, i / w.group_size);
  }
};

// Element `i` of a weight whose type is known only now. For rows, not for products.
inline float read_weight(const perdure_tensor& w, int64_t i) {
  if (w.dtype == PERDURE_F32) return ReadF32::at(w, i);
  if (w.dtype == PERDURE_F16) return ReadF16::at(w, i);
  if (w.dtype == PERDURE_BF16) return ReadBf16::at(w, i);
  return ReadQ80::at(w, i);
}

}  // namespace perdure::kernels
