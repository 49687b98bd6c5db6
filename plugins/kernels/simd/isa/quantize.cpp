// SPDX-License-Identifier: Apache-2.0

// Activations to int8 in groups, rounded half away from zero: the same bits as the scalar
// definition.
#include "plugins/kernels/simd/isa/runs.hpp"
#include "plugins/kernels/simd/isa/vector.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using namespace kernels;

inline Batch truncated(Batch v) {
#if defined(__AVX512F__)
  return _mm512_roundscale_ps(v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
#else
  return _mm256_round_ps(v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
#endif
}

// The difference to the truncated value is exact; adding 0.5 before truncating would not be.
inline Batch rounded_half_away(Batch v) {
  const Batch whole = truncated(v);
  const Batch step = xsimd::select(v < Batch(0.0f), Batch(-1.0f), Batch(1.0f));
  return xsimd::select(xsimd::abs(v - whole) >= Batch(0.5f), whole + step, whole);
}

inline void store_int8(int8_t* q, Batch v, int64_t n) {
  int8_t bytes[kLanes];
#if defined(__AVX512F__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes),
                   _mm512_cvtsepi32_epi8(_mm512_cvttps_epi32(v)));
#else
  const __m256i wide = _mm256_cvttps_epi32(v);
  const __m128i words =
      _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(bytes), _mm_packs_epi16(words, words));
#endif
  memcpy(q, bytes, static_cast<size_t>(n));
}

inline void quantize_group(const float* x, int64_t count, int8_t* q, float* scale) {
  Batch magnitudes(0.0f), zeros(0.0f);
  for_each_vector(count, [&](int64_t i, int64_t n) {
    const Batch v = load(x + i, n);
    magnitudes = xsimd::max(xsimd::abs(v), magnitudes);
    zeros = zeros + v * Batch(0.0f);
  });
  // NaN: some value is no number, and no int8 can say so.
  if (!xsimd::all(zeros == Batch(0.0f))) {
    *scale = __builtin_nanf("");
    memset(q, 0, static_cast<size_t>(count));
    return;
  }
  *scale = largest(magnitudes) / 127.0f;
  // A group of zeros, or of numbers so small that the scale underflows.
  if (*scale == 0.0f) {
    memset(q, 0, static_cast<size_t>(count));
    return;
  }
  const Batch divisor(*scale);
  for_each_vector(count, [&](int64_t i, int64_t n) {
    const Batch v = rounded_half_away(load(x + i, n) / divisor);
    store_int8(q + i, xsimd::min(xsimd::max(v, Batch(-127.0f)), Batch(127.0f)), n);
  });
}

}  // namespace

int run_quantize(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const QuantizeParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = row_of<float>(call->inputs[0], r);
    int8_t* q = row_of<int8_t>(call->outputs[0], r);
    float* scales = scales_of(call->outputs[0], r);
    for (int64_t g = 0; g < p.n_groups; ++g)
      quantize_group(x + g * p.group, p.group, q + g * p.group, scales + g);
  }
  return PERDURE_OK;
}

}  // namespace perdure::simd::PERDURE_ISA
