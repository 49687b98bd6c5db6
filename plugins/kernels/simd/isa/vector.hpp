// SPDX-License-Identifier: Apache-2.0

// The vector of the instruction set that is being compiled, and what xsimd 8.1 does not give: fused
// multiply-add on AVX-512, partial loads, reductions in a written order, an exponential that is the
// same in every lane. Compiled only into objects of one instruction set: everything is in an
// unnamed namespace, and nothing of the standard library is used that could leave a weak function
// behind.
#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include <xsimd/xsimd.hpp>

#include "plugins/kernels/common/node.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

#if defined(__AVX512F__)
using Batch = xsimd::batch<float, xsimd::avx512bw>;
#else
using Batch = xsimd::batch<float, xsimd::avx2>;
#endif

constexpr int64_t kLanes = static_cast<int64_t>(Batch::size);

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

inline Batch load(const float* p) { return Batch::load_unaligned(p); }
inline void store(float* p, Batch v) { v.store_unaligned(p); }

#if defined(__AVX512F__)

inline Batch fma(Batch a, Batch b, Batch c) { return _mm512_fmadd_ps(a, b, c); }
inline Batch negated_fma(Batch a, Batch b, Batch c) { return _mm512_fnmadd_ps(a, b, c); }

// The first `n` lanes, zeros behind them; touches no memory behind them. Requires: 0 < n <= kLanes.
inline Batch load_partial(const float* p, int64_t n) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
}
inline void store_partial(float* p, Batch v, int64_t n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
}

// The first `n` lanes, `otherwise` behind them.
inline Batch load_partial(const float* p, int64_t n, Batch otherwise) {
  return _mm512_mask_loadu_ps(otherwise, static_cast<__mmask16>((1u << n) - 1), p);
}

inline __m256 low_half(Batch v) { return _mm512_castps512_ps256(v); }
inline __m256 high_half(Batch v) {
  return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1));
}

#else

inline Batch fma(Batch a, Batch b, Batch c) { return _mm256_fmadd_ps(a, b, c); }
inline Batch negated_fma(Batch a, Batch b, Batch c) { return _mm256_fnmadd_ps(a, b, c); }

alignas(32) constexpr int32_t kMasks[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

inline __m256i first_lanes(int64_t n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMasks + kLanes - n));
}
inline Batch load_partial(const float* p, int64_t n) {
  return _mm256_maskload_ps(p, first_lanes(n));
}
inline void store_partial(float* p, Batch v, int64_t n) {
  _mm256_maskstore_ps(p, first_lanes(n), v);
}
inline Batch load_partial(const float* p, int64_t n, Batch otherwise) {
  const __m256i mask = first_lanes(n);
  return _mm256_blendv_ps(otherwise, _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask));
}

#endif

inline __m128 fold(__m256 v) {
  return _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
}

// The sum of all lanes, halves upon halves.
inline float sum(Batch v) {
#if defined(__AVX512F__)
  __m128 s = fold(_mm256_add_ps(low_half(v), high_half(v)));
#else
  __m128 s = fold(v);
#endif
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

inline float largest(Batch v) {
#if defined(__AVX512F__)
  const __m256 h = _mm256_max_ps(low_half(v), high_half(v));
#else
  const __m256 h = v;
#endif
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

// Calls body(i, n) for the pieces of 0 .. count - 1: n = kLanes for all but a shorter last one.
template <typename Body>
inline void for_each_vector(int64_t count, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, kLanes);
  if (i < count) body(i, count - i);
}

inline Batch load(const float* p, int64_t n) { return n == kLanes ? load(p) : load_partial(p, n); }
inline void store(float* p, Batch v, int64_t n) {
  if (n == kLanes)
    store(p, v);
  else
    store_partial(p, v, n);
}

// 2^n for integral n within [-126, 127], in every lane.
inline Batch power_of_two(Batch n) {
#if defined(__AVX512F__)
  const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
  return _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
#else
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
#endif
}

inline Batch round_to_nearest(Batch v) {
#if defined(__AVX512F__)
  return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#endif
}

// exp within 2 units in the last place: n = round(x / ln 2), the polynomial of Cephes' expf on the
// rest, times 2^n in two halves so that both ends of the range come out right. Below -104 zero,
// above 89 infinity, NaN stays NaN.
inline Batch exponential(Batch x) {
  // The second operand is what min and max return for NaN.
  const Batch clamped = xsimd::max(Batch(-105.0f), xsimd::min(Batch(90.0f), x));
  const Batch n = round_to_nearest(clamped * Batch(1.44269504f));
  // ln 2 in two parts, the first exact when multiplied by n.
  Batch r = negated_fma(n, Batch(0.693145751953125f), clamped);
  r = negated_fma(n, Batch(1.42860682030941723212e-6f), r);
  Batch p = fma(Batch(1.9875691500e-4f), r, Batch(1.3981999507e-3f));
  p = fma(p, r, Batch(8.3334519073e-3f));
  p = fma(p, r, Batch(4.1665795894e-2f));
  p = fma(p, r, Batch(1.6666665459e-1f));
  p = fma(p, r, Batch(5.0000001201e-1f));
  p = fma(p, r * r, r) + Batch(1.0f);
  const Batch half = round_to_nearest(n * Batch(0.5f));
  return p * power_of_two(half) * power_of_two(n - half);
}

inline Batch sigmoid(Batch x) { return Batch(1.0f) / (Batch(1.0f) + exponential(-x)); }

}  // namespace
}  // namespace perdure::simd::PERDURE_ISA
