// SPDX-License-Identifier: Apache-2.0

// Reading single values of weights of any type as F32, aligned or not.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "plugins/kernels/common/prepare.hpp"

namespace perdure::kernels {

inline float half_to_float(uint16_t half) {
  const float sign = half & 0x8000 ? -1.0f : 1.0f;
  const int exponent = (half >> 10) & 31;
  const int mantissa = half & 0x3ff;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  const uint32_t bits = exponent == 31 ? 0x7f800000u | static_cast<uint32_t>(mantissa) << 13
                                       : static_cast<uint32_t>(exponent + 112) << 23 |
                                             static_cast<uint32_t>(mantissa) << 13;
  return std::bit_cast<float>(bits | static_cast<uint32_t>(half & 0x8000) << 16);
}

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
  static float at(const perdure_tensor& w, int64_t i) { return half_to_float(load_u16(w.data, i)); }
};
struct ReadBf16 {
  static constexpr perdure_dtype kType = PERDURE_BF16;
  static float at(const perdure_tensor& w, int64_t i) {
    return std::bit_cast<float>(static_cast<uint32_t>(load_u16(w.data, i)) << 16);
  }
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
