// SPDX-License-Identifier: Apache-2.0

// Rows of Q8_0 and Q8_K times weights in GGUF's blocks, read as they lie in the file. Eight columns
// at a time; a block is unpacked once for up to kRows rows. Sums inside a block are exact integers,
// blocks are scaled and added in order, each step rounded as in the scalar definition: the kernels
// of all instruction sets give the definition's bits.
#include "plugins/kernels/simd/isa/blocks.hpp"
#include "plugins/kernels/simd/isa/runs.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using namespace kernels;

constexpr int64_t kColumns = 8;
constexpr int64_t kRows = 32;
constexpr int64_t kParts = 8;  // of 32 values, in a block of 256

// Byte by byte the products of unsigned w and signed x, four to a lane.
inline __m256i dot(__m256i w, __m256i x) {
#if defined(__AVX512VNNI__)
  return _mm256_dpbusd_epi32(_mm256_setzero_si256(), w, x);
#else
  // In words: two products of any bytes do not fit in one of 16 bits.
  const auto word = [](__m128i v) { return _mm256_cvtepi8_epi16(v); };
  const auto unsigned_word = [](__m128i v) { return _mm256_cvtepu8_epi16(v); };
  const __m256i low =
      _mm256_madd_epi16(unsigned_word(_mm256_castsi256_si128(w)), word(_mm256_castsi256_si128(x)));
  const __m256i high = _mm256_madd_epi16(unsigned_word(_mm256_extracti128_si256(w, 1)),
                                         word(_mm256_extracti128_si256(x, 1)));
  return _mm256_add_epi32(low, high);
#endif
}

// The same for bytes of w below 64, in pairs of 16 bits.
inline __m256i pairs(__m256i w, __m256i x) { return _mm256_maddubs_epi16(w, x); }

inline __m256i dot_of_small(__m256i w, __m256i x) {
#if defined(__AVX512VNNI__)
  return dot(w, x);
#else
  return _mm256_madd_epi16(pairs(w, x), _mm256_set1_epi16(1));
#endif
}

// Lane c is the sum of the lanes of v[c].
inline __m256i sums_of(const __m256i v[kColumns]) {
  const __m256i first =
      _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
  const __m256i second =
      _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]));
  return _mm256_add_epi32(_mm256_permute2x128_si256(first, second, 0x20),
                          _mm256_permute2x128_si256(first, second, 0x31));
}

inline int32_t sum_of_bytes(__m256i x) {
  const __m256i sums =
      _mm256_madd_epi16(_mm256_maddubs_epi16(all_bytes(1), x), _mm256_set1_epi16(1));
  const __m128i four =
      _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

inline __m256 halves_as_f32(const uint16_t halves[kColumns]) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
}

inline __m256 scaled(__m256i exact, __m256 w_scales, float x_scale) {
  return _mm256_mul_ps(_mm256_cvtepi32_ps(exact), _mm256_mul_ps(w_scales, _mm256_set1_ps(x_scale)));
}

// Block `index` of the weights of eight columns, for rows of Q8_0.
template <typename Type>
struct Block32 {
  static constexpr int64_t kXBytes = 34;
  __m256i w[kColumns];
  __m256 scales, minima;

  Block32(const char* const rows[kColumns], int64_t index) {
    uint16_t halves[2][kColumns];
    for (int64_t c = 0; c < kColumns; ++c) {
      const char* b = rows[c] + index * Type::kBytes;
      w[c] = Type::bytes(b);
      halves[0][c] = half_at(b);
      halves[1][c] = half_at(b + 2);
    }
    scales = halves_as_f32(halves[0]);
    minima = halves_as_f32(halves[1]);
  }

  __m256 add_to(__m256 sum, const char* x) const {
    const __m256i values = bytes_at(x + 2);
    __m256i products[kColumns];
    for (int64_t c = 0; c < kColumns; ++c)
      products[c] = Type::kOffset > 16 ? dot(w[c], values) : dot_of_small(w[c], values);
    __m256i exact = sums_of(products);
    const float x_scale = _cvtsh_ss(half_at(x));
    const int32_t sum_of_x = Type::kOffset != 0 || Type::kHasMinimum ? sum_of_bytes(values) : 0;
    if (Type::kOffset != 0)
      exact = _mm256_sub_epi32(exact, _mm256_set1_epi32(Type::kOffset * sum_of_x));
    sum = _mm256_add_ps(sum, scaled(exact, scales, x_scale));
    if (Type::kHasMinimum)
      sum = _mm256_add_ps(sum, scaled(_mm256_set1_epi32(sum_of_x), minima, x_scale));
    return sum;
  }
};

// The same of 256 values, for rows of Q8_K.
template <typename Type>
struct Block256 {
  static constexpr int64_t kXBytes = 292;
  __m256i w[kColumns][kParts], part_scales[kColumns][kParts], part_minima[kColumns];
  __m256 scales, minima;

  Block256(const char* const rows[kColumns], int64_t index) {
    uint16_t halves[2][kColumns] = {};
    for (int64_t c = 0; c < kColumns; ++c) {
      const char* b = rows[c] + index * Type::kBytes;
      unpack_parts(b, c);
      halves[0][c] = half_at(b + Type::kScaleAt);
      if (Type::kHasMinimum) halves[1][c] = half_at(b + 2);
    }
    scales = halves_as_f32(halves[0]);
    minima = halves_as_f32(halves[1]);
  }

  void unpack_parts(const char* b, int64_t c) {
    const PartScales s = Type::parts(b);
    part_minima[c] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(s.minima));
    for (int64_t part = 0; part < kParts; ++part) {
      w[c][part] = Type::bytes(b, part);
      part_scales[c][part] = _mm256_setr_m128i(_mm_set1_epi16(s.scales[2 * part]),
                                               _mm_set1_epi16(s.scales[2 * part + 1]));
    }
  }

  __m256 add_to(__m256 sum, const char* x) const {
    __m256i products[kColumns], of_minima[kColumns];
    const __m256i sums_of_x = bytes_at(x + 260);
    for (int64_t c = 0; c < kColumns; ++c) {
      products[c] = _mm256_setzero_si256();
      for (int64_t part = 0; part < kParts; ++part)
        products[c] = _mm256_add_epi32(
            products[c], _mm256_madd_epi16(pairs(w[c][part], bytes_at(x + 4 + 32 * part)),
                                           part_scales[c][part]));
      of_minima[c] = _mm256_madd_epi16(sums_of_x, part_minima[c]);
      if (!Type::kHasMinimum) products[c] = _mm256_sub_epi32(products[c], of_minima[c]);
    }
    const float x_scale = load_f32(x, 0);
    sum = _mm256_add_ps(sum, scaled(sums_of(products), scales, x_scale));
    if (Type::kHasMinimum) sum = _mm256_sub_ps(sum, scaled(sums_of(of_minima), minima, x_scale));
    return sum;
  }
};

// n_rows rows times eight columns; `rows`: their weights.
template <typename Block>
inline void tile(const perdure_call* call, int64_t first, int64_t n_rows, int64_t n_blocks,
                 const char* const rows[kColumns], int64_t column, int64_t n_columns) {
  __m256 sums[kRows];
  for (int64_t r = 0; r < n_rows; ++r) sums[r] = _mm256_setzero_ps();
  for (int64_t b = 0; b < n_blocks; ++b) {
    const Block block(rows, b);
    for (int64_t r = 0; r < n_rows; ++r)
      sums[r] =
          block.add_to(sums[r], row_of<char>(call->inputs[0], first + r) + b * Block::kXBytes);
  }
  for (int64_t r = 0; r < n_rows; ++r) {
    float lanes[kColumns];
    _mm256_storeu_ps(lanes, sums[r]);
    memcpy(row_of<float>(call->outputs[0], first + r) + column, lanes,
           static_cast<size_t>(n_columns) * sizeof(float));
  }
}

// Columns beyond the end read the last one and are not stored.
template <typename Block, int64_t kValues>
int run(const perdure_call* call, int64_t begin, int64_t end) {
  const auto& p = *static_cast<const MatMulParams*>(call->params);
  const perdure_tensor& w = call->inputs[1].tensor;
  const int64_t n_rows = count_rows(p.rows, *call->step);
  for (int64_t column = begin; column < end; column += kColumns) {
    const char* rows[kColumns];
    for (int64_t c = 0; c < kColumns; ++c)
      rows[c] =
          static_cast<const char*>(w.data) + smaller(column + c, end - 1) * w.row_stride_bytes;
    for (int64_t first = 0; first < n_rows; first += kRows)
      tile<Block>(call, first, smaller(kRows, n_rows - first), p.k / kValues, rows, column,
                  smaller(kColumns, end - column));
  }
  return PERDURE_OK;
}

template <typename Type>
int run_32(const perdure_call* call, int64_t begin, int64_t end, void*) {
  return run<Block32<Type>, 32>(call, begin, end);
}

template <typename Type>
int run_256(const perdure_call* call, int64_t begin, int64_t end, void*) {
  return run<Block256<Type>, 256>(call, begin, end);
}

}  // namespace

const BlockTable kBlockTable = {
    .q8_0 = run_32<BlockQ8_0>,
    .q4_0 = run_32<BlockQ4_0>,
    .q4_1 = run_32<BlockQ4_1>,
    .q5_0 = run_32<BlockQ5_0>,
    .q5_1 = run_32<BlockQ5_1>,
    .q4_k = run_256<BlockQ4_K>,
    .q5_k = run_256<BlockQ5_K>,
    .q6_k = run_256<BlockQ6_K>,
};

}  // namespace perdure::simd::PERDURE_ISA
