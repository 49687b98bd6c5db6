// SPDX-License-Identifier: Apache-2.0

// y = x W^T with F32 rows and weights as they lie in the file: F32, F16, BF16, or Q80 made F32
// piece by piece. Every element has one vector of partial sums, runs over k in order and folds the
// vector at the end, in tiles of any shape: so one row alone and the same row among hundreds get
// the same bits.
#include "plugins/kernels/simd/isa/runs.hpp"
#include "plugins/kernels/simd/isa/vector.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using namespace kernels;

using Register = Batch::register_type;

// Rows whose x stay in the level-2 cache while a range of weights passes.
constexpr int64_t kRowBlock = 64;
// Columns of a tile: for a row alone as many as hide the latency of a sum, for up to four rows as
// many as there are registers for.
constexpr int kWideTile = 8;
#if defined(__AVX512F__)
constexpr int kTile = 6;
#else
constexpr int kTile = 3;
#endif

// The vector of weights that begins at byte address `w`, or its first `n` elements.
struct LoadF32 {
  static constexpr int64_t kBytes = 4;
  static Batch vector(const char* w) { return load(reinterpret_cast<const float*>(w)); }
  static Batch partial(const char* w, int64_t n) {
    return load_partial(reinterpret_cast<const float*>(w), n);
  }
};

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

// The rows of a step and where their results go.
struct Product {
  const char* x;
  int64_t x_stride;  // bytes
  char* y;
  int64_t y_stride;
  int64_t k;
  int64_t w_stride;  // bytes

  const float* x_row(int64_t r) const { return reinterpret_cast<const float*>(x + r * x_stride); }
  float* y_row(int64_t r) const { return reinterpret_cast<float*>(y + r * y_stride); }
};

// kRows x kColumns elements; w: the first of kColumns weight rows.
template <typename Load, int kRows, int kColumns>
inline void tile(const Product& p, int64_t row, int64_t column, const char* w) {
  Register sums[kRows][kColumns];
  const float* x[kRows];
  for (int r = 0; r < kRows; ++r) {
    x[r] = p.x_row(row + r);
    for (int c = 0; c < kColumns; ++c) sums[r][c] = Batch(0.0f);
  }
  const int64_t w_stride = p.w_stride;
  int64_t i = 0;
  for (; i + kLanes <= p.k; i += kLanes) {
    Register xs[kRows];
    for (int r = 0; r < kRows; ++r) xs[r] = load(x[r] + i);
    for (int c = 0; c < kColumns; ++c) {
      const Batch weights = Load::vector(w + c * w_stride + i * Load::kBytes);
      for (int r = 0; r < kRows; ++r) sums[r][c] = fma(xs[r], weights, sums[r][c]);
    }
  }
  if (const int64_t n = p.k - i; n > 0) {
    for (int c = 0; c < kColumns; ++c) {
      const Batch weights = Load::partial(w + c * w_stride + i * Load::kBytes, n);
      for (int r = 0; r < kRows; ++r)
        sums[r][c] = fma(load_partial(x[r] + i, n), weights, sums[r][c]);
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kColumns; ++c) p.y_row(row + r)[column + c] = sum(sums[r][c]);
}

// kRows rows times the weight rows `w` of columns begin .. end - 1.
template <typename Load, int kRows, int kColumns>
inline void strip(const Product& p, int64_t row, int64_t begin, int64_t end, const char* w) {
  const int64_t w_stride = p.w_stride;
  int64_t column = begin;
  for (; column + kColumns <= end; column += kColumns)
    tile<Load, kRows, kColumns>(p, row, column, w + (column - begin) * w_stride);
  for (; column < end; ++column)
    tile<Load, kRows, 1>(p, row, column, w + (column - begin) * w_stride);
}

template <typename Load>
void all_rows(const Product& p, int64_t first, int64_t last, int64_t begin, int64_t end,
              const char* w) {
  int64_t row = first;
  for (; row + 4 <= last; row += 4) strip<Load, 4, kTile>(p, row, begin, end, w);
  if (last - row == 3) strip<Load, 3, kTile>(p, row, begin, end, w);
  if (last - row == 2) strip<Load, 2, kTile>(p, row, begin, end, w);
  if (last - row == 1) strip<Load, 1, kTile>(p, row, begin, end, w);
}

inline Product product_of(const perdure_call* call) {
  const perdure_tensor& x = call->inputs[0].tensor;
  const perdure_tensor& y = call->outputs[0].tensor;
  return {static_cast<const char*>(x.data),
          x.row_stride_bytes,
          static_cast<char*>(y.data),
          y.row_stride_bytes,
          static_cast<const MatMulParams*>(call->params)->k,
          call->inputs[1].tensor.row_stride_bytes};
}

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
  const auto& params = *static_cast<const MatMulParams*>(call->params);
  Product p = product_of(call);
  p.w_stride = p.k * LoadF32::kBytes;  // of the rows below
  const int64_t n_rows = count_rows(params.rows, *call->step);
  float* weights = static_cast<float*>(scratch);  // [kDequantisedRows, k]
  for (int64_t column = begin; column < end; column += kDequantisedRows) {
    const int64_t stop = smaller(column + kDequantisedRows, end);
    for (int64_t c = column; c < stop; ++c)
      dequantise_row(call->inputs[1].tensor, c, p.k, weights + (c - column) * p.k);
    all_rows<LoadF32>(p, 0, n_rows, column, stop, reinterpret_cast<const char*>(weights));
  }
  return PERDURE_OK;
}

}  // namespace perdure::simd::PERDURE_ISA
