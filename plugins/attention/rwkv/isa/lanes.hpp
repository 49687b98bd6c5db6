// SPDX-License-Identifier: Apache-2.0

// A vector of the instruction set that is being compiled, in the notation that g++ and clang share.
// Every operation is rounded by itself, without fused multiply-adds, so that all instruction sets
// give the bits of the definition wherever that has no exponential and no sum across lanes.
// Compiled only into objects of one instruction set: everything is in an unnamed namespace.
#pragma once

#include <stdint.h>
#include <string.h>

#include "plugins/attention/rwkv/node.hpp"

namespace perdure::rwkv::PERDURE_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kLaneBytes = 64;
#else
constexpr int kLaneBytes = 32;
#endif
constexpr int64_t kLanes = kLaneBytes / static_cast<int64_t>(sizeof(float));

using Lanes = float __attribute__((vector_size(kLaneBytes)));
using IntLanes = int32_t __attribute__((vector_size(kLaneBytes)));

inline Lanes all(float value) { return Lanes{} + value; }

inline Lanes load(const float* p) {
  Lanes v;
  memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, Lanes v) { memcpy(p, &v, sizeof v); }

// The first n lanes, zeros behind them.
inline Lanes load(const float* p, int64_t n) {
  if (n == kLanes) return load(p);
  float values[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) values[i] = p[i];
  return load(values);
}
inline void store(float* p, Lanes v, int64_t n) {
  if (n == kLanes) return store(p, v);
  float values[kLanes];
  store(values, v);
  for (int64_t i = 0; i < n; ++i) p[i] = values[i];
}

// Calls body(i, n) for the pieces of 0 .. count - 1: n = kLanes for all but a shorter last one.
template <typename Body>
inline void for_each_vector(int64_t count, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, kLanes);
  if (i < count) body(i, count - i);
}

inline float sum(Lanes v) {
  float values[kLanes];
  store(values, v);
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; ++i) values[i] += values[i + half];
  return values[0];
}

// exp(x) of x <= 0 within 2 units in the last place: n = round(x / ln 2), the polynomial of Cephes'
// expf on the rest, times 2^n. Zero below -87; NaN stays NaN.
inline Lanes exponential_of_negative(Lanes x) {
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: what is added loses its fraction
  const Lanes rounded = x * 1.44269504f + kRounder;
  const Lanes n = rounded - kRounder;
  // ln 2 in two parts, the first exact when multiplied by n.
  const Lanes r = (x - n * 0.693145751953125f) - n * 1.42860682030941723212e-6f;
  Lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * (r * r) + r) + 1.0f;
  IntLanes exponent;
  memcpy(&exponent, &rounded, sizeof exponent);  // n in its lowest bits
  exponent = (exponent << 23) + (127 << 23);
  Lanes power;
  memcpy(&power, &exponent, sizeof power);
  return x < -87.0f ? Lanes{} : p * power;
}

}  // namespace
}  // namespace perdure::rwkv::PERDURE_ISA
