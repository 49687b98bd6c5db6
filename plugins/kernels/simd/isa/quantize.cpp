// SPDX-License-Identifier: Apache-2.0

// Activations to int8 in groups of Q80, rounded half away from zero, and in the blocks of GGUF: the
// same bits as the scalar definition.
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

// The largest magnitude of `count` numbers; NaN if some value is no number.
inline float magnitude(const float* x, int64_t count) {
  Batch magnitudes(0.0f), zeros(0.0f);
  for_each_vector(count, [&](int64_t i, int64_t n) {
    const Batch v = load(x + i, n);
    magnitudes = xsimd::max(xsimd::abs(v), magnitudes);
    zeros = zeros + v * Batch(0.0f);
  });
  return xsimd::all(zeros == Batch(0.0f)) ? largest(magnitudes) : __builtin_nanf("");
}

// NaN becomes -127: it is the first operand of the maximum.
inline Batch within_int8(Batch v) {
  return xsimd::min(xsimd::max(v, Batch(-127.0f)), Batch(127.0f));
}

inline void quantize_group(const float* x, int64_t count, int8_t* q, float* scale) {
  *scale = magnitude(x, count) / 127.0f;
  // NaN: some value is no number, and no int8 can say so. 0: a group of zeros, or of numbers so
  // small that the scale underflows.
  if (!(*scale > 0.0f)) {
    memset(q, 0, static_cast<size_t>(count));
    return;
  }
  const Batch divisor(*scale);
  for_each_vector(count, [&](int64_t i, int64_t n) {
    store_int8(q + i, within_int8(rounded_half_away(load(x + i, n) / divisor)), n);
  });
}

// The scale is stored in half precision, the values are rounded by the exact one.
inline void quantize_q8_0(const float* x, char* block) {
  const float scale = magnitude(x, 32) / 127.0f;
  const Batch inverse(scale != 0.0f ? 1.0f / scale : 0.0f);
  const uint16_t half = _cvtss_sh(scale, _MM_FROUND_TO_NEAREST_INT);
  memcpy(block, &half, sizeof half);
  for (int64_t i = 0; i < 32; i += kLanes)
    store_int8(reinterpret_cast<int8_t*>(block) + 2 + i,
               within_int8(rounded_half_away(load(x + i) * inverse)), kLanes);
}

// The first value of the largest magnitude, 0 if there is none but zeros.
inline float first_largest(const float* x, float magnitude) {
  for (int64_t i = 0; magnitude > 0.0f; ++i)
    if (x[i] == magnitude || x[i] == -magnitude) return x[i];
  return 0.0f;
}

inline int16_t sum_of_16(const int8_t* q) {
  int32_t sum = 0;
  for (int64_t i = 0; i < 16; ++i) sum += q[i];
  return static_cast<int16_t>(sum);
}

// The value of the largest magnitude becomes -127; its sign is the inverse's, ties go to even.
inline void quantize_q8_k(const float* x, char* block) {
  const float size = magnitude(x, 256);
  const float extreme = first_largest(x, size);
  const float inverse = extreme != 0.0f ? -127.0f / extreme : 0.0f;
  // A magnitude that is no number makes the scale NaN.
  const float scale = inverse != 0.0f ? 1.0f / inverse : size * 0.0f;
  memcpy(block, &scale, sizeof scale);
  auto* q = reinterpret_cast<int8_t*>(block) + 4;
  for (int64_t i = 0; i < 256; i += kLanes) {
    const Batch v = inverse != 0.0f ? load(x + i) * Batch(inverse) : Batch(0.0f);
    store_int8(q + i, round_to_nearest(within_int8(v)), kLanes);
  }
  for (int64_t part = 0; part < 16; ++part) {
    const int16_t sum = sum_of_16(q + 16 * part);
    memcpy(block + 260 + 2 * part, &sum, sizeof sum);
  }
}

// kQuantize makes one block of kValues numbers.
template <perdure_dtype kType, auto kQuantize>
inline int quantize_rows(const perdure_call* call, int64_t begin, int64_t end) {
  constexpr int64_t kValues = perdure_block_values(kType), kBytes = perdure_block_bytes(kType);
  const auto& p = *static_cast<const QuantizeParams*>(call->params);
  for (int64_t r = begin; r < end; ++r)
    for (int64_t b = 0; b < p.n_groups; ++b)
      kQuantize(row_of<float>(call->inputs[0], r) + kValues * b,
                row_of<char>(call->outputs[0], r) + kBytes * b);
  return PERDURE_OK;
}

}  // namespace

int run_quantize_q8_0(const perdure_call* call, int64_t begin, int64_t end, void*) {
  return quantize_rows<PERDURE_Q8_0, quantize_q8_0>(call, begin, end);
}

int run_quantize_q8_k(const perdure_call* call, int64_t begin, int64_t end, void*) {
  return quantize_rows<PERDURE_Q8_K, quantize_q8_k>(call, begin, end);
}

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
