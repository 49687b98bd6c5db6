// SPDX-License-Identifier: Apache-2.0

// F32 rows times weights in GGUF's blocks, a few rows of the weights made F32 at a time. Values are
// rounded as in the scalar definition.
#include "plugins/kernels/simd/isa/blocks.hpp"
#include "plugins/kernels/simd/isa/real_product.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

inline void store_bytes(__m256i bytes, uint8_t* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bytes);
}

template <typename Type>
struct Values32 {
  static constexpr int64_t kValues = 32;
  static void store(const char* b, float* out) {
    uint8_t bytes[kValues];
    store_bytes(Type::bytes(b), bytes);
    const float scale = _cvtsh_ss(half_at(b));
    const float minimum = Type::kHasMinimum ? _cvtsh_ss(half_at(b + 2)) : 0.0f;
    for (int i = 0; i < kValues; ++i) {
      const float value = static_cast<float>(bytes[i] - Type::kOffset) * scale;
      out[i] = Type::kHasMinimum ? value + minimum : value;
    }
  }
};

template <typename Type>
struct Values256 {
  static constexpr int64_t kValues = 256;
  static void store(const char* b, float* out) {
    const PartScales parts = Type::parts(b);
    const float scale = _cvtsh_ss(half_at(b + Type::kScaleAt));
    const float smallest = Type::kHasMinimum ? _cvtsh_ss(half_at(b + 2)) : 0.0f;
    uint8_t bytes[kValues];
    for (int64_t part = 0; part < 8; ++part) store_bytes(Type::bytes(b, part), bytes + 32 * part);
    for (int64_t run = 0; run < 16; ++run) {
      const float factor = scale * static_cast<float>(parts.scales[run]);
      const float minimum = smallest * static_cast<float>(parts.minima[run]);
      for (int64_t i = 16 * run; i < 16 * run + 16; ++i) {
        const float value = factor * static_cast<float>(bytes[i] - Type::kOffset);
        out[i] = Type::kHasMinimum ? value - minimum : value;
      }
    }
  }
};

template <typename Type, typename Values>
int run(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& params = *static_cast<const MatMulParams*>(call->params);
  const perdure_tensor& w = call->inputs[1].tensor;
  Product p = product_of(call);
  p.w_stride = p.k * LoadF32::kBytes;  // of the rows below
  const int64_t n_rows = count_rows(params.rows, *call->step);
  float* weights = static_cast<float*>(scratch);  // [kDequantisedRows, k]
  for (int64_t column = begin; column < end; column += kDequantisedRows) {
    const int64_t stop = smaller(column + kDequantisedRows, end);
    for (int64_t c = column; c < stop; ++c) {
      const char* row = static_cast<const char*>(w.data) + c * w.row_stride_bytes;
      for (int64_t i = 0; i < p.k; i += Values::kValues, row += Type::kBytes)
        Values::store(row, weights + (c - column) * p.k + i);
    }
    all_rows<LoadF32>(p, 0, n_rows, column, stop, reinterpret_cast<const char*>(weights));
  }
  return PERDURE_OK;
}

}  // namespace

const BlockTable kDequantisedTable = {
    .q8_0 = run<BlockQ8_0, Values32<BlockQ8_0>>,
    .q4_0 = run<BlockQ4_0, Values32<BlockQ4_0>>,
    .q4_1 = run<BlockQ4_1, Values32<BlockQ4_1>>,
    .q5_0 = run<BlockQ5_0, Values32<BlockQ5_0>>,
    .q5_1 = run<BlockQ5_1, Values32<BlockQ5_1>>,
    .q4_k = run<BlockQ4_K, Values256<BlockQ4_K>>,
    .q5_k = run<BlockQ5_K, Values256<BlockQ5_K>>,
    .q6_k = run<BlockQ6_K, Values256<BlockQ6_K>>,
};

}  // namespace perdure::simd::PERDURE_ISA
