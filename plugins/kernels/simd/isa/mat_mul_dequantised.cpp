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

// A vector of unsigned bytes.
inline Batch from_bytes(const uint8_t* bytes) {
#if defined(__AVX512F__)
  return _mm512_cvtepi32_ps(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes))));
#else
  return _mm256_cvtepi32_ps(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes))));
#endif
}

template <typename Type>
struct Values32 {
  static constexpr int64_t kValues = 32;
  static void write(const char* b, float* out) {
    uint8_t bytes[kValues];
    store_bytes(Type::bytes(b), bytes);
    const Batch scale(_cvtsh_ss(half_at(b))), offset(static_cast<float>(Type::kOffset));
    const Batch minimum(Type::kHasMinimum ? _cvtsh_ss(half_at(b + 2)) : 0.0f);
    for (int64_t i = 0; i < kValues; i += kLanes) {
      const Batch value = (from_bytes(bytes + i) - offset) * scale;
      store(out + i, Type::kHasMinimum ? value + minimum : value);
    }
  }
};

template <typename Type>
struct Values256 {
  static constexpr int64_t kValues = 256;
  static void write(const char* b, float* out) {
    const PartScales parts = Type::parts(b);
    const float scale = _cvtsh_ss(half_at(b + Type::kScaleAt));
    const float smallest = Type::kHasMinimum ? _cvtsh_ss(half_at(b + 2)) : 0.0f;
    uint8_t bytes[kValues];
    for (int64_t part = 0; part < 8; ++part) store_bytes(Type::bytes(b, part), bytes + 32 * part);
    const Batch offset(static_cast<float>(Type::kOffset));
    for (int64_t run = 0; run < 16; ++run) {
      const Batch factor(scale * static_cast<float>(parts.scales[run]));
      const Batch minimum(smallest * static_cast<float>(parts.minima[run]));
      for (int64_t i = 16 * run; i < 16 * run + 16; i += kLanes) {
        const Batch value = factor * (from_bytes(bytes + i) - offset);
        store(out + i, Type::kHasMinimum ? value - minimum : value);
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
        Values::write(row, weights + (c - column) * p.k + i);
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
