// SPDX-License-Identifier: Apache-2.0

// Sixteen 32-bit lanes, one per column of a panel: a vector of 512 bits, or two of 256. Compiled
// only into objects of one instruction set, see vector.hpp.
#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

namespace perdure::simd::PERDURE_ISA {
namespace {

#if defined(__AVX512F__)

struct Lanes {
  __m512i v;
};
struct Reals {
  __m512 v;
};

inline Lanes load_lanes(const void* p) { return {_mm512_loadu_si512(p)}; }
inline Reals load_reals(const void* p) { return {_mm512_loadu_ps(p)}; }
inline void store(void* p, Lanes a) { _mm512_storeu_si512(p, a.v); }
inline void store(void* p, Reals a) { _mm512_storeu_ps(p, a.v); }
inline Lanes splat(int32_t x) { return {_mm512_set1_epi32(x)}; }
inline Reals splat(float x) { return {_mm512_set1_ps(x)}; }
inline Lanes operator&(Lanes a, Lanes b) { return {_mm512_and_si512(a.v, b.v)}; }
inline Lanes operator|(Lanes a, Lanes b) { return {_mm512_or_si512(a.v, b.v)}; }
inline Lanes operator^(Lanes a, Lanes b) { return {_mm512_xor_si512(a.v, b.v)}; }
inline Lanes operator+(Lanes a, Lanes b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline Lanes operator*(Lanes a, Lanes b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
inline Reals operator+(Reals a, Reals b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Reals operator-(Reals a, Reals b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Reals operator*(Reals a, Reals b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Lanes operator<<(Lanes a, unsigned n) { return {_mm512_slli_epi32(a.v, n)}; }
inline Lanes operator>>(Lanes a, unsigned n) { return {_mm512_srli_epi32(a.v, n)}; }
inline Lanes signed_right(Lanes a, unsigned n) { return {_mm512_srai_epi32(a.v, n)}; }
inline Lanes add_words(Lanes a, Lanes b) { return {_mm512_add_epi16(a.v, b.v)}; }
// Sums of two products of signed 16-bit integers.
inline Lanes multiply_words(Lanes a, Lanes b) { return {_mm512_madd_epi16(a.v, b.v)}; }
// Sums of two products of unsigned by signed bytes, 16 bits.
inline Lanes multiply_bytes(Lanes a, Lanes b) { return {_mm512_maddubs_epi16(a.v, b.v)}; }
inline Lanes unpack_low_32(Lanes a, Lanes b) { return {_mm512_unpacklo_epi32(a.v, b.v)}; }
inline Lanes unpack_high_32(Lanes a, Lanes b) { return {_mm512_unpackhi_epi32(a.v, b.v)}; }
inline Lanes unpack_low_64(Lanes a, Lanes b) { return {_mm512_unpacklo_epi64(a.v, b.v)}; }
inline Lanes unpack_high_64(Lanes a, Lanes b) { return {_mm512_unpackhi_epi64(a.v, b.v)}; }
inline Reals to_reals(Lanes a) { return {_mm512_cvtepi32_ps(a.v)}; }
// The lower 16 bits as numbers in half precision.
inline Reals halves(Lanes a) { return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(a.v))}; }
// Byte `j` of each lane in all four bytes.
inline Lanes spread_byte(Lanes a, int j) {
  const __m512i places = _mm512_add_epi8(
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12)),
      _mm512_set1_epi8(static_cast<char>(j)));
  return {_mm512_shuffle_epi8(a.v, places)};
}
// 16 in each byte that has a bit of `bits`, else 0.
inline Lanes sixteen_where(Lanes a, int32_t bits) {
  return {_mm512_maskz_set1_epi8(_mm512_test_epi8_mask(a.v, _mm512_set1_epi32(bits)), 16)};
}

#else

struct Lanes {
  __m256i low, high;
};
struct Reals {
  __m256 low, high;
};

inline __m256i load_half(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
inline Lanes load_lanes(const void* p) {
  return {load_half(p), load_half(static_cast<const char*>(p) + 32)};
}
inline Reals load_reals(const void* p) {
  const auto* f = static_cast<const float*>(p);
  return {_mm256_loadu_ps(f), _mm256_loadu_ps(f + 8)};
}
inline void store(void* p, Lanes a) {
  auto* to = static_cast<__m256i*>(p);
  _mm256_storeu_si256(to, a.low);
  _mm256_storeu_si256(to + 1, a.high);
}
inline void store(void* p, Reals a) {
  auto* to = static_cast<float*>(p);
  _mm256_storeu_ps(to, a.low);
  _mm256_storeu_ps(to + 8, a.high);
}
inline Lanes splat(int32_t x) {
  const __m256i v = _mm256_set1_epi32(x);
  return {v, v};
}
inline Reals splat(float x) {
  const __m256 v = _mm256_set1_ps(x);
  return {v, v};
}
inline Lanes operator&(Lanes a, Lanes b) {
  return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
}
inline Lanes operator|(Lanes a, Lanes b) {
  return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}
inline Lanes operator^(Lanes a, Lanes b) {
  return {_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high)};
}
inline Lanes operator+(Lanes a, Lanes b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
inline Lanes operator*(Lanes a, Lanes b) {
  return {_mm256_mullo_epi32(a.low, b.low), _mm256_mullo_epi32(a.high, b.high)};
}
inline Reals operator+(Reals a, Reals b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline Reals operator-(Reals a, Reals b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
inline Reals operator*(Reals a, Reals b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline Lanes operator<<(Lanes a, unsigned n) {
  const int count = static_cast<int>(n);
  return {_mm256_slli_epi32(a.low, count), _mm256_slli_epi32(a.high, count)};
}
inline Lanes operator>>(Lanes a, unsigned n) {
  const int count = static_cast<int>(n);
  return {_mm256_srli_epi32(a.low, count), _mm256_srli_epi32(a.high, count)};
}
inline Lanes signed_right(Lanes a, unsigned n) {
  const int count = static_cast<int>(n);
  return {_mm256_srai_epi32(a.low, count), _mm256_srai_epi32(a.high, count)};
}
inline Lanes add_words(Lanes a, Lanes b) {
  return {_mm256_add_epi16(a.low, b.low), _mm256_add_epi16(a.high, b.high)};
}
// Sums of two products of signed 16-bit integers.
inline Lanes multiply_words(Lanes a, Lanes b) {
  return {_mm256_madd_epi16(a.low, b.low), _mm256_madd_epi16(a.high, b.high)};
}
// Sums of two products of unsigned by signed bytes, 16 bits.
inline Lanes multiply_bytes(Lanes a, Lanes b) {
  return {_mm256_maddubs_epi16(a.low, b.low), _mm256_maddubs_epi16(a.high, b.high)};
}
inline Lanes unpack_low_32(Lanes a, Lanes b) {
  return {_mm256_unpacklo_epi32(a.low, b.low), _mm256_unpacklo_epi32(a.high, b.high)};
}
inline Lanes unpack_high_32(Lanes a, Lanes b) {
  return {_mm256_unpackhi_epi32(a.low, b.low), _mm256_unpackhi_epi32(a.high, b.high)};
}
inline Lanes unpack_low_64(Lanes a, Lanes b) {
  return {_mm256_unpacklo_epi64(a.low, b.low), _mm256_unpacklo_epi64(a.high, b.high)};
}
inline Lanes unpack_high_64(Lanes a, Lanes b) {
  return {_mm256_unpackhi_epi64(a.low, b.low), _mm256_unpackhi_epi64(a.high, b.high)};
}
inline Reals to_reals(Lanes a) { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }
// The lower 16 bits as numbers in half precision.
inline __m256 halves(__m256i a) {
  const __m256i low = _mm256_and_si256(a, _mm256_set1_epi32(0xffff));
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
  return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
}
inline Reals halves(Lanes a) { return {halves(a.low), halves(a.high)}; }
// Byte `j` of each lane in all four bytes.
inline Lanes spread_byte(Lanes a, int j) {
  const __m256i places = _mm256_add_epi8(_mm256_broadcastsi128_si256(_mm_setr_epi8(
                                             0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12)),
                                         _mm256_set1_epi8(static_cast<char>(j)));
  return {_mm256_shuffle_epi8(a.low, places), _mm256_shuffle_epi8(a.high, places)};
}
// 16 in each byte that has a bit of `bits`, else 0. Requires: one bit per byte.
inline __m256i sixteen_where(__m256i a, int32_t bits) {
  const __m256i mask = _mm256_set1_epi32(bits);
  return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(a, mask), mask), _mm256_set1_epi8(16));
}
inline Lanes sixteen_where(Lanes a, int32_t bits) {
  return {sixteen_where(a.low, bits), sixteen_where(a.high, bits)};
}

#endif

// Sixteen bytes of each column, as four vectors of four bytes of every column.
struct Quads {
  Lanes q[4];
};

inline __m128i load_16(const char* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

// Sixteen bytes of four columns side by side.
#if defined(__AVX512F__)
inline Lanes side_by_side(const char* a, const char* b, const char* c, const char* d) {
  __m512i v = _mm512_castsi128_si512(load_16(a));
  v = _mm512_inserti32x4(v, load_16(b), 1);
  v = _mm512_inserti32x4(v, load_16(c), 2);
  return {_mm512_inserti32x4(v, load_16(d), 3)};
}
// The same sixteen bytes four times.
inline Lanes four_times(const void* p) {
  return {_mm512_broadcast_i32x4(load_16(static_cast<const char*>(p)))};
}
#else
inline __m256i pair(const char* low, const char* high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(low)), load_16(high), 1);
}
inline Lanes side_by_side(const char* a, const char* b, const char* c, const char* d) {
  return {pair(a, b), pair(c, d)};
}
// The same sixteen bytes four times.
inline Lanes four_times(const void* p) {
  const __m256i twice = _mm256_broadcastsi128_si256(load_16(static_cast<const char*>(p)));
  return {twice, twice};
}
#endif

// Columns 0, 4, 8 and 12 of `columns` side by side.
inline Lanes every_fourth(const char* const* columns, int64_t offset) {
  return side_by_side(columns[0] + offset, columns[4] + offset, columns[8] + offset,
                      columns[12] + offset);
}

// Sixteen columns at equal distances. Four pointers stay in registers, sixteen do not.
struct EvenColumns {
  const char* fourths[4];  // columns 0, 4, 8 and 12
  int64_t distance;

  EvenColumns(const char* first, int64_t column_distance) : distance(column_distance) {
    for (int i = 0; i < 4; ++i) fourths[i] = first + 4 * i * distance;
  }
};

// Columns i, i + 4, i + 8 and i + 12 side by side.
inline Lanes every_fourth(const EvenColumns& columns, int i, int64_t offset) {
  const int64_t at = i * columns.distance + offset;
  return side_by_side(columns.fourths[0] + at, columns.fourths[1] + at, columns.fourths[2] + at,
                      columns.fourths[3] + at);
}

// Four by four lanes, in each 128 bits.
inline Quads transposed(const Quads& a) {
  const Lanes low = unpack_low_32(a.q[0], a.q[1]), high = unpack_high_32(a.q[0], a.q[1]);
  const Lanes low_2 = unpack_low_32(a.q[2], a.q[3]), high_2 = unpack_high_32(a.q[2], a.q[3]);
  return {{unpack_low_64(low, low_2), unpack_high_64(low, low_2), unpack_low_64(high, high_2),
           unpack_high_64(high, high_2)}};
}

inline Quads transposed(const char* const* columns, int64_t offset) {
  return transposed(Quads{{every_fourth(columns, offset), every_fourth(columns + 1, offset),
                           every_fourth(columns + 2, offset), every_fourth(columns + 3, offset)}});
}
inline Quads transposed(const EvenColumns& columns, int64_t offset) {
  return transposed(Quads{{every_fourth(columns, 0, offset), every_fourth(columns, 1, offset),
                           every_fourth(columns, 2, offset), every_fourth(columns, 3, offset)}});
}

// Lane 4 * i + j: the sum of the four lanes in the i-th 128 bits of a.q[j].
inline Lanes sums_of_fours(const Quads& a) {
  const Lanes low = unpack_low_32(a.q[0], a.q[1]) + unpack_high_32(a.q[0], a.q[1]);
  const Lanes high = unpack_low_32(a.q[2], a.q[3]) + unpack_high_32(a.q[2], a.q[3]);
  return unpack_low_64(low, high) + unpack_high_64(low, high);
}

}  // namespace
}  // namespace perdure::simd::PERDURE_ISA
