// SPDX-License-Identifier: Apache-2.0

// GGUF's blocks of 32 values, and the parts of its blocks of 256, as vectors of 32 unsigned bytes:
// the value is byte minus kOffset, times the scale, plus or minus the minimum.
#pragma once

#include "plugins/kernels/simd/isa/vector.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

inline uint16_t half_at(const char* data) {
  uint16_t bits;
  memcpy(&bits, data, sizeof bits);
  return bits;
}

inline __m256i bytes_at(const char* data) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data));
}

inline __m256i all_bytes(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }

// 16 bytes as their lower halves, then their upper ones.
inline __m256i nibbles(const char* data) {
  const __m128i pairs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data));
  const __m256i both =
      _mm256_inserti128_si256(_mm256_castsi128_si256(pairs), _mm_srli_epi16(pairs, 4), 1);
  return _mm256_and_si256(both, all_bytes(15));
}

// 16 in every byte whose bit of the 32 is set.
inline __m256i fifth_bits(const char* data) {
  int32_t bits;
  memcpy(&bits, data, sizeof bits);
  const __m256i places =
      _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), places);
  const __m256i masks = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201ull));
  const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, masks), masks);
  return _mm256_and_si256(set, all_bytes(16));
}

struct BlockQ8_0 {
  static constexpr int64_t kBytes = 34;
  static constexpr bool kHasMinimum = false;
  static constexpr int kOffset = 128;
  static __m256i bytes(const char* b) { return _mm256_xor_si256(bytes_at(b + 2), all_bytes(128)); }
};
struct BlockQ4_0 {
  static constexpr int64_t kBytes = 18;
  static constexpr bool kHasMinimum = false;
  static constexpr int kOffset = 8;
  static __m256i bytes(const char* b) { return nibbles(b + 2); }
};
struct BlockQ4_1 {
  static constexpr int64_t kBytes = 20;
  static constexpr bool kHasMinimum = true;
  static constexpr int kOffset = 0;
  static __m256i bytes(const char* b) { return nibbles(b + 4); }
};
struct BlockQ5_0 {
  static constexpr int64_t kBytes = 22;
  static constexpr bool kHasMinimum = false;
  static constexpr int kOffset = 16;
  static __m256i bytes(const char* b) { return _mm256_or_si256(nibbles(b + 6), fifth_bits(b + 2)); }
};
struct BlockQ5_1 {
  static constexpr int64_t kBytes = 24;
  static constexpr bool kHasMinimum = true;
  static constexpr int kOffset = 0;
  static __m256i bytes(const char* b) { return _mm256_or_si256(nibbles(b + 8), fifth_bits(b + 4)); }
};

// The scales of the parts of 256 values, and what their minima or offsets are, per 16 values.
struct PartScales {
  int16_t scales[16];
  int16_t minima[16];
};

// 12 bytes with eight scales and eight minima of 6 bits.
inline PartScales six_bit_scales(const char* data) {
  PartScales s;
  const auto byte = [&](int i) { return static_cast<int>(static_cast<uint8_t>(data[i])); };
  for (int part = 0; part < 8; ++part) {
    const int scale = part < 4 ? byte(part) & 63 : (byte(part + 4) & 15) | byte(part - 4) >> 6 << 4;
    const int minimum = part < 4 ? byte(part + 4) & 63 : byte(part + 4) >> 4 | byte(part) >> 6 << 4;
    s.scales[2 * part] = s.scales[2 * part + 1] = static_cast<int16_t>(scale);
    s.minima[2 * part] = s.minima[2 * part + 1] = static_cast<int16_t>(minimum);
  }
  return s;
}

inline __m256i halves_of_bytes(__m256i pairs, int64_t part) {
  return _mm256_and_si256(part % 2 == 0 ? pairs : _mm256_srli_epi16(pairs, 4), all_bytes(15));
}

struct BlockQ4_K {
  static constexpr int64_t kBytes = 144, kScaleAt = 0;
  static constexpr bool kHasMinimum = true;
  static constexpr int kOffset = 0;
  static PartScales parts(const char* b) { return six_bit_scales(b + 4); }
  static __m256i bytes(const char* b, int64_t part) {
    return halves_of_bytes(bytes_at(b + 16 + part / 2 * 32), part);
  }
};
struct BlockQ5_K {
  static constexpr int64_t kBytes = 176, kScaleAt = 0;
  static constexpr bool kHasMinimum = true;
  static constexpr int kOffset = 0;
  static PartScales parts(const char* b) { return six_bit_scales(b + 4); }
  static __m256i bytes(const char* b, int64_t part) {
    const __m256i fifth = all_bytes(1 << part);
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes_at(b + 16), fifth), fifth);
    return _mm256_or_si256(halves_of_bytes(bytes_at(b + 48 + part / 2 * 32), part),
                           _mm256_and_si256(set, all_bytes(16)));
  }
};
// The offset is a minimum of 32 scales.
struct BlockQ6_K {
  static constexpr int64_t kBytes = 210, kScaleAt = 208;
  static constexpr bool kHasMinimum = false;
  static constexpr int kOffset = 32;
  static PartScales parts(const char* b) {
    PartScales s;
    for (int part = 0; part < 16; ++part) {
      const int scale = static_cast<int8_t>(b[192 + part]);
      s.scales[part] = static_cast<int16_t>(scale);
      s.minima[part] = static_cast<int16_t>(32 * scale);
    }
    return s;
  }
  static __m256i bytes(const char* b, int64_t part) {
    const int64_t half = part / 4, run = part % 4;
    const __m256i low = halves_of_bytes(bytes_at(b + half * 64 + run % 2 * 32), run / 2);
    const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(2 * run));
    const __m256i high = _mm256_srl_epi16(bytes_at(b + 128 + half * 32), shift);
    return _mm256_or_si256(low, _mm256_slli_epi16(_mm256_and_si256(high, all_bytes(3)), 4));
  }
};

}  // namespace
}  // namespace perdure::simd::PERDURE_ISA
