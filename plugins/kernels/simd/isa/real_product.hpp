// SPDX-License-Identifier: Apache-2.0

// The walk through a product of F32 rows with weights that become F32 vector by vector. Every
// element has one vector of partial sums, runs over k in order and folds the vector at the end, in
// tiles of any shape: so one row alone and the same row among hundreds get the same bits.
#pragma once

#include "plugins/kernels/simd/isa/runs.hpp"
#include "plugins/kernels/simd/isa/vector.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using namespace kernels;

using Register = Batch::register_type;

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

// A row alone reads every weight once, and several weight rows side by side, which processors do
// not see coming where these are short: weights of 16 bits of the next tile are asked for while
// this one is computed. Beyond the last weight that does nothing.
inline void prefetch(const char* p) { _mm_prefetch(p, _MM_HINT_T0); }

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
      const char* at = w + c * w_stride + i * Load::kBytes;
      if (kRows == 1 && kColumns == kWideTile && Load::kBytes == 2)
        prefetch(at + kColumns * w_stride);
      const Batch weights = Load::vector(at);
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

// Products with weights that are no vectors of numbers as they lie in the file:
// dequantise(first, last, to) makes weight rows first .. last - 1 F32, [kDequantisedRows, k] at
// `to`.
template <typename Dequantise>
inline int run_dequantised(const perdure_call* call, int64_t begin, int64_t end, void* scratch,
                           Dequantise dequantise) {
  const auto& params = *static_cast<const MatMulParams*>(call->params);
  Product p = product_of(call);
  p.w_stride = p.k * LoadF32::kBytes;  // of the rows in scratch
  const int64_t n_rows = count_rows(params.rows, *call->step);
  float* weights = static_cast<float*>(scratch);
  for (int64_t column = begin; column < end; column += kDequantisedRows) {
    const int64_t stop = smaller(column + kDequantisedRows, end);
    dequantise(column, stop, weights);
    all_rows<LoadF32>(p, 0, n_rows, column, stop, reinterpret_cast<const char*>(weights));
  }
  return PERDURE_OK;
}

}  // namespace
}  // namespace perdure::simd::PERDURE_ISA
