// SPDX-License-Identifier: Apache-2.0

// F32 rows times weights in GGUF's blocks, a few panels of the weights made F32 at a time. Values
// are rounded as in the scalar definition.
#include "plugins/kernels/simd/isa/block_types.hpp"
#include "plugins/kernels/simd/isa/real_product.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

// A vector of unsigned bytes.
inline Batch from_bytes(const char* bytes) {
#if defined(__AVX512F__)
  return _mm512_cvtepi32_ps(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes))));
#else
  return _mm256_cvtepi32_ps(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes))));
#endif
}

// Sixteen values of each column of a panel.
struct Sixteen {
  char bytes[4 * 64];

  explicit Sixteen(const char* quads) {
    Quads four;
    for (int i = 0; i < 4; ++i) four.q[i] = load_lanes(quads + i * 64);
    four = transposed(four);
    for (int i = 0; i < 4; ++i) store(bytes + i * 64, four.q[i]);
  }
  // convert(vector of values) goes to `out`.
  template <typename Convert>
  void write(int64_t column, float* out, Convert convert) const {
    const char* values = bytes + column % 4 * 64 + column / 4 * 16;
    for (int64_t i = 0; i < 16; i += kLanes) store(out + i, convert(from_bytes(values + i)));
  }
};

inline float real_at(const char* reals, int64_t i) {
  float value;
  memcpy(&value, reals + i * 4, sizeof value);
  return value;
}

template <typename Type>
struct Values32 {
  static constexpr int64_t kValues = 32;
  using Unpacked = UnpackedBlock;

  // Values 16 * half and on of all columns; those of column c begin at out + c * k.
  static void write(const UnpackedBlock& b, int64_t half, int64_t k, float* out) {
    const Batch bias(static_cast<float>(Type::kBias));
    const Sixteen values(b.quads + half * 256);
    for (int64_t c = 0; c < kPanelColumns; ++c) {
      const Batch scale(real_at(b.scale, c));
      const Batch minimum(Type::kHasMinimum ? real_at(b.minimum, c) : 0.0f);
      values.write(c, out + c * k, [&](Batch v) {
        const Batch value = (v - bias) * scale;
        return Type::kHasMinimum ? value + minimum : value;
      });
    }
  }
};

template <typename Type>
struct Values256 {
  static constexpr int64_t kValues = 256;
  using Unpacked = UnpackedSuperBlock;

  // Sixteen factors or minima of a part.
  static void factors(const UnpackedSuperBlock& b, int64_t part, Reals& factor, Reals& minimum) {
    factor = load_reals(b.scale) * to_reals(load_lanes(b.part_scales + part * 64));
    if (!Type::kHasMinimum) return;
    const Lanes two = load_lanes(b.part_minima + part / 2 * 64);
    const Lanes minima = part % 2 == 0 ? two & splat(0xffff) : two >> 16;
    minimum = load_reals(b.minimum) * to_reals(minima);
  }
  // As above.
  static void write(const UnpackedSuperBlock& b, int64_t sixteenth, int64_t k, float* out) {
    const Batch bias(static_cast<float>(Type::kBias));
    const Sixteen values(b.quads + sixteenth * 256);
    Reals factor, minimum = splat(0.0f);
    factors(b, sixteenth * 16 / Type::kPart, factor, minimum);
    char scales[64], minima[64];
    store(scales, factor);
    store(minima, minimum);
    for (int64_t c = 0; c < kPanelColumns; ++c) {
      const Batch scale(real_at(scales, c)), smallest(real_at(minima, c));
      values.write(c, out + c * k, [&](Batch v) {
        const Batch value = scale * (v - bias);
        return Type::kHasMinimum ? value - smallest : value;
      });
    }
  }
};

// Rows of the weight from `first` on as F32, whole panels: [kDequantisedRows, k].
template <typename Type, typename Values>
inline void dequantise(const perdure_tensor& w, const MatMulParams& params, int64_t first,
                       int64_t last, float* out) {
  typename Values::Unpacked block;
  for (int64_t column = first; column < last; column += kPanelColumns) {
    const Panel panel(w, params.n, column);
    float* to = out + (column - first) * params.k;
    for (int64_t i = 0, b = 0; i < params.k; i += Values::kValues, ++b) {
      Type::unpack(panel.columns, b * Type::kBytes, block);
      for (int64_t s = 0; s < Values::kValues / 16; ++s)
        Values::write(block, s, params.k, to + i + s * 16);
    }
  }
}

template <typename Type, typename Values>
int run(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& params = *static_cast<const MatMulParams*>(call->params);
  return run_dequantised(call, begin, end, scratch, [&](int64_t first, int64_t last, float* to) {
    dequantise<Type, Values>(call->inputs[1].tensor, params, first, last, to);
  });
}

}  // namespace

const BlockTable kDequantisedTable = {
    .q8_0 = run<Q8_0, Values32<Q8_0>>,
    .q4_0 = run<Q4_0, Values32<Q4_0>>,
    .q4_1 = run<Q4_1, Values32<Q4_1>>,
    .q5_0 = run<Q5_0, Values32<Q5_0>>,
    .q5_1 = run<Q5_1, Values32<Q5_1>>,
    .q4_k = run<Q4_K, Values256<Q4_K>>,
    .q5_k = run<Q5_K, Values256<Q5_K>>,
    .q6_k = run<Q6_K, Values256<Q6_K>>,
};

}  // namespace perdure::simd::PERDURE_ISA
