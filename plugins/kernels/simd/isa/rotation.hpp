// SPDX-License-Identifier: Apache-2.0

// The rotation of adjacent pairs, the same for a row that is rotated before it is stored and for a
// key that is rotated when it is read.
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

// (x0, x1) -> (x0 cos - x1 sin, x1 cos + x0 sin); `angles` holds cos, sin pairs.
inline Batch rotated(Batch x, Batch angles) {
  return multiply_add_sub(x, evens(angles), swap_pairs(x) * odds(angles));
}

}  // namespace
}  // namespace perdure::simd::PERDURE_ISA
