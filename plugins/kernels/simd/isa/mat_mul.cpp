// SPDX-License-Identifier: Apache-2.0

// y = x W^T with F32 rows and weights as they lie in the file: F32, F16, BF16, or Q80 made F32
// piece by piece.
#include "plugins/kernels/simd/isa/real_product.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

// Rows whose x stay in the level-2 cache while a range of weights passes.
constexpr int64_t kRowBlock = 64;

#if defined(__AVX512F__)
inline __m256i load_u16(const char* w) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
}
inline Batch from_f16(__m256i v) { return _mm512_cvtph_ps(v); }
inline Batch from_bf16(__m256i v) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}
inline Batch from_int8(const char* w) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w))));
}
#else
inline __m128i load_u16(const char* w) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(w));
}
inline Batch from_f16(__m128i v) { return _mm256_cvtph_ps(v); }
inline Batch from_bf16(__m128i v) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}
inline Batch from_int8(const char* w) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(w))));
}
#endif

struct LoadF16 {
  static constexpr int64_t kBytes = 2;
  static Batch vector(const char* w) { return from_f16(load_u16(w)); }
  static Batch partial(const char* w, int64_t n) {
    char padded[kLanes * kBytes] = {};
    memcpy(padded, w, static_cast<size_t>(n * kBytes));
    return vector(padded);
  }
};

struct LoadBf16 {
  static constexpr int64_t kBytes = 2;
  static Batch vector(const char* w) { return from_bf16(load_u16(w)); }
  static Batch partial(const char* w, int64_t n) {
    char padded[kLanes * kBytes] = {};
    memcpy(padded, w, static_cast<size_t>(n * kBytes));
    return vector(padded);
  }
};

template <typename Load>
inline void run(const perdure_call* call, int64_t begin, int64_t end) {
  const auto& params = *static_cast<const MatMulParams*>(call->params);
  const Product p = product_of(call);
  const int64_t n_rows = count_rows(params.rows, *call->step);
  const char* w = static_cast<const char*>(call->inputs[1].tensor.data);
  const int64_t w_stride = p.w_stride;
  if (n_rows == 1) {
    strip<Load, 1, kWideTile>(p, 0, begin, end, w + begin * w_stride);
    return;
  }
  for (int64_t first = 0; first < n_rows; first += kRowBlock) {
    const int64_t last = smaller(first + kRowBlock, n_rows);
    for (int64_t column = begin; column < end; column += kTile)
      all_rows<Load>(p, first, last, column, smaller(column + kTile, end), w + column * w_stride);
  }
}

// One weight row as F32: value times scale. Groups may straddle rows.
inline void dequantise_row(const perdure_tensor& w, int64_t row, int64_t k, float* out) {
  const int64_t first = row * w.row_stride_bytes;
  const char* values = static_cast<const char*>(w.data) + first;
  int64_t group = first / w.group_size;
  int64_t stop = (group + 1) * w.group_size - first;  // end of the group in this row
  for (int64_t i = 0; i < k; stop += w.group_size, ++group) {
    const int64_t end = smaller(k, stop);
    const Batch scale(load_f32(w.scales, group));
    for (; i + kLanes <= end; i += kLanes) store(out + i, from_int8(values + i) * scale);
    for (; i < end; ++i) out[i] = static_cast<float>(static_cast<int8_t>(values[i])) * scale.get(0);
  }
}

}  // namespace

int run_mat_mul_f32(const perdure_call* call, int64_t begin, int64_t end, void*) {
  run<LoadF32>(call, begin, end);
  return PERDURE_OK;
}

int run_mat_mul_f16(const perdure_call* call, int64_t begin, int64_t end, void*) {
  run<LoadF16>(call, begin, end);
  return PERDURE_OK;
}

int run_mat_mul_bf16(const perdure_call* call, int64_t begin, int64_t end, void*) {
  run<LoadBf16>(call, begin, end);
  return PERDURE_OK;
}

int run_mat_mul_f32_q80(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const int64_t k = static_cast<const MatMulParams*>(call->params)->k;
  const auto dequantise = [&](int64_t first, int64_t last, float* to) {
    for (int64_t row = first; row < last; ++row, to += k)
      dequantise_row(call->inputs[1].tensor, row, k, to);
  };
  return run_dequantised(call, begin, end, scratch, dequantise);
}

}  // namespace perdure::simd::PERDURE_ISA
