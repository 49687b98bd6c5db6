// SPDX-License-Identifier: Apache-2.0

// The rotation of the pairs of a head, the same for a row that is rotated before it is stored and
// for a key that is rotated when it is read.
#pragma once

#include "plugins/kernels/simd/isa/vector.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

// (x0, x1, x2, x3, ...) -> (x1, x0, x3, x2, ...), and the even or the odd element of every pair
// twice.
#if defined(__AVX512F__)
inline Batch swap_pairs(Batch v) { return _mm512_permute_ps(v, 0xb1); }
inline Batch evens(Batch v) { return _mm512_moveldup_ps(v); }
inline Batch odds(Batch v) { return _mm512_movehdup_ps(v); }
inline Batch multiply_add_sub(Batch a, Batch b, Batch c) { return _mm512_fmaddsub_ps(a, b, c); }
#else
inline Batch swap_pairs(Batch v) { return _mm256_permute_ps(v, 0xb1); }
inline Batch evens(Batch v) { return _mm256_moveldup_ps(v); }
inline Batch odds(Batch v) { return _mm256_movehdup_ps(v); }
inline Batch multiply_add_sub(Batch a, Batch b, Batch c) { return _mm256_fmaddsub_ps(a, b, c); }
#endif

// (c0, s0, c1, s1, ...) of two vectors -> (c0, c1, ...) and (s0, s1, ...).
#if defined(__AVX512F__)
inline Batch even_elements(Batch a, Batch b) {
  const __m512i from = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  return _mm512_permutex2var_ps(a, from, b);
}
inline Batch odd_elements(Batch a, Batch b) {
  const __m512i from = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  return _mm512_permutex2var_ps(a, from, b);
}
#else
inline Batch quarters_in_order(__m256 v) {
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8));
}
inline Batch even_elements(Batch a, Batch b) {
  return quarters_in_order(_mm256_shuffle_ps(a, b, 0x88));
}
inline Batch odd_elements(Batch a, Batch b) {
  return quarters_in_order(_mm256_shuffle_ps(a, b, 0xdd));
}
#endif

// (x0, x1) -> (x0 cos - x1 sin, x1 cos + x0 sin); `angles` holds cos, sin pairs.
inline Batch rotated(Batch x, Batch angles) {
  return multiply_add_sub(x, evens(angles), swap_pairs(x) * odds(angles));
}

// The columns i and i + rotary / 2 turn together.
inline void rotate_halves(const float* x, const float* angles, int64_t n_pairs, float* y) {
  for_each_vector(n_pairs, [&](int64_t i, int64_t n) {
    const int64_t n_first = smaller(2 * n, kLanes), n_second = 2 * n - n_first;
    const Batch first = load(angles + 2 * i, n_first);
    const Batch second = n_second == 0 ? Batch(0.0f) : load(angles + 2 * i + kLanes, n_second);
    const Batch cosines = even_elements(first, second), sines = odd_elements(first, second);
    const Batch x0 = load(x + i, n), x1 = load(x + n_pairs + i, n);
    store(y + i, negated_fma(x1, sines, x0 * cosines), n);
    store(y + n_pairs + i, fma(x1, cosines, x0 * sines), n);
  });
}

// Turns the pairs of one head. `x` and `y` may be the same.
inline void rotate_head(const float* x, const float* angles, const kernels::Rotation& rotation,
                        float* y) {
  if (rotation.halves)
    rotate_halves(x, angles, rotation.rotary / 2, y);
  else
    for_each_vector(rotation.rotary, [&](int64_t i, int64_t n) {
      store(y + i, rotated(load(x + i, n), load(angles + i, n)), n);
    });
  for_each_vector(rotation.head_size - rotation.rotary, [&](int64_t i, int64_t n) {
    store(y + rotation.rotary + i, load(x + rotation.rotary + i, n), n);
  });
}

}  // namespace
}  // namespace perdure::simd::PERDURE_ISA
