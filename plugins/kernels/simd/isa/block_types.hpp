// SPDX-License-Identifier: Apache-2.0

// How GGUF's blocks of sixteen columns are unpacked to unsigned bytes: integer + kBias, at most
// kLargest. The layouts are those of plugins/kernels/common/weights.hpp and super_blocks.hpp.
#pragma once

#include "core/api/types.h"
#include "plugins/kernels/simd/isa/block_layout.hpp"
#include "plugins/kernels/simd/isa/lanes.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

// Where the rows of the weight that are a panel's columns begin; behind the last row it stands
// again.
struct Panel {
  const char* columns[kPanelColumns];

  Panel(const perdure_tensor& w, int64_t n, int64_t first) {
    for (int64_t c = 0; c < kPanelColumns; ++c) {
      const int64_t row = first + c < n ? first + c : n - 1;
      columns[c] = static_cast<const char*>(w.data) + row * w.row_stride_bytes;
    }
  }
};

inline Lanes low_bits(Lanes a) { return a & splat(0x0f0f0f0f); }
inline Lanes high_bits(Lanes a) { return low_bits(a >> 4); }

// The scales, and minima where the type has them, begin a block.
struct Scales {
  Reals scale, minimum;
};
template <bool kHasMinimum, typename Columns>
inline Scales load_scales(const Columns& columns, int64_t offset) {
  const Lanes both = transposed(columns, offset).q[0];
  return {halves(both), kHasMinimum ? halves(both >> 16) : splat(0.0f)};
}
template <bool kHasMinimum>
inline void unpack_scales(const char* const* columns, int64_t offset, UnpackedBlock& to) {
  const Scales scales = load_scales<kHasMinimum>(columns, offset);
  store(to.scale, scales.scale);
  if (kHasMinimum) store(to.minimum, scales.minimum);
}

// A block of four columns: values 0 to 15 of each side by side, and values 16 to 31.
struct FourBlocks {
  Lanes first, second;
};

template <int kBiasOfType, bool kHasMinimumOfType>
struct FourBits {
  static constexpr int64_t kBytes =
      perdure_block_bytes(kHasMinimumOfType ? PERDURE_Q4_1 : PERDURE_Q4_0);
  static constexpr int kBias = kBiasOfType;
  static constexpr int kLargest = 15;
  static constexpr bool kHasMinimum = kHasMinimumOfType;

  static void unpack(const char* const* columns, int64_t offset, UnpackedBlock& to) {
    unpack_scales<kHasMinimum>(columns, offset, to);
    const Quads pairs = transposed(columns, offset + kBytes - 16);
    for (int i = 0; i < 4; ++i) {
      store(to.quads + i * 64, low_bits(pairs.q[i]));
      store(to.quads + (4 + i) * 64, high_bits(pairs.q[i]));
    }
  }
  // Columns i, i + 4, i + 8 and i + 12.
  static FourBlocks load(const EvenColumns& columns, int i, int64_t offset) {
    const Lanes pairs = every_fourth(columns, i, offset + kBytes - 16);
    return {low_bits(pairs), high_bits(pairs)};
  }
};

template <int kBiasOfType, bool kHasMinimumOfType>
struct FiveBits {
  static constexpr int64_t kBytes =
      perdure_block_bytes(kHasMinimumOfType ? PERDURE_Q5_1 : PERDURE_Q5_0);
  static constexpr int kBias = kBiasOfType;
  static constexpr int kLargest = 31;
  static constexpr bool kHasMinimum = kHasMinimumOfType;

  // The fifth bits of values 4 * quad and on.
  static Lanes fifth(Lanes bits, int quad) {
    return sixteen_where(spread_byte(bits, quad / 2),
                         quad % 2 == 0 ? 0x08040201 : static_cast<int32_t>(0x80402010u));
  }
  static void unpack(const char* const* columns, int64_t offset, UnpackedBlock& to) {
    unpack_scales<kHasMinimum>(columns, offset, to);
    const Lanes bits = transposed(columns, offset + kBytes - 20).q[0];
    const Quads pairs = transposed(columns, offset + kBytes - 16);
    for (int i = 0; i < 4; ++i) {
      store(to.quads + i * 64, low_bits(pairs.q[i]) | fifth(bits, i));
      store(to.quads + (4 + i) * 64, high_bits(pairs.q[i]) | fifth(bits, 4 + i));
    }
  }
};

struct Q8_0 {
  static constexpr int64_t kBytes = perdure_block_bytes(PERDURE_Q8_0);
  static constexpr int kBias = 128;
  static constexpr int kLargest = 255;
  static constexpr bool kHasMinimum = false;
  static constexpr auto kFlip = static_cast<int32_t>(0x80808080u);

  static void unpack(const char* const* columns, int64_t offset, UnpackedBlock& to) {
    unpack_scales<kHasMinimum>(columns, offset, to);
    for (int half = 0; half < 2; ++half) {
      const Quads values = transposed(columns, offset + 2 + half * 16);
      for (int i = 0; i < 4; ++i) store(to.quads + (half * 4 + i) * 64, values.q[i] ^ splat(kFlip));
    }
  }
  // Columns i, i + 4, i + 8 and i + 12.
  static FourBlocks load(const EvenColumns& columns, int i, int64_t offset) {
    return {every_fourth(columns, i, offset + 2) ^ splat(kFlip),
            every_fourth(columns, i, offset + 18) ^ splat(kFlip)};
  }
};

using Q4_0 = FourBits<8, false>;
using Q4_1 = FourBits<0, true>;
using Q5_0 = FiveBits<16, false>;
using Q5_1 = FiveBits<0, true>;

// Four scales of eight bits each, from `first` on, as integers.
inline void store_part_scales(Lanes four, int first, UnpackedSuperBlock& to) {
  for (int i = 0; i < 4; ++i)
    store(to.part_scales + (first + i) * 64, four >> static_cast<unsigned>(8 * i) & splat(255));
}

// Four minima of eight bits each as pairs of 16-bit integers.
inline void store_part_minima(Lanes four, int first_pair, UnpackedSuperBlock& to) {
  for (int i = 0; i < 2; ++i) {
    const Lanes two = four >> static_cast<unsigned>(16 * i);
    store(to.part_minima + (first_pair + i) * 64, (two & splat(255)) | (two & splat(0xff00)) << 8);
  }
}

// What Q4_K and Q5_K begin with: scale and minimum, eight scales and eight minima of parts.
inline void unpack_parts(const char* const* columns, int64_t offset, UnpackedSuperBlock& to) {
  const Quads head = transposed(columns, offset);
  store(to.scale, halves(head.q[0]));
  store(to.minimum, halves(head.q[0] >> 16));
  const Lanes six = splat(0x3f3f3f3f), upper_two = splat(0x30303030);
  store_part_scales(head.q[1] & six, 0, to);
  store_part_scales(low_bits(head.q[3]) | (head.q[1] >> 2 & upper_two), 4, to);
  store_part_minima(head.q[2] & six, 0, to);
  store_part_minima(high_bits(head.q[3]) | (head.q[2] >> 2 & upper_two), 2, to);
}

struct Q4_K {
  static constexpr int64_t kBytes = perdure_block_bytes(PERDURE_Q4_K);
  static constexpr int kBias = 0;
  static constexpr int kLargest = 15;
  static constexpr int kPart = 32;
  static constexpr bool kHasMinimum = true;

  static void unpack(const char* const* columns, int64_t offset, UnpackedSuperBlock& to) {
    unpack_parts(columns, offset, to);
    for (int piece = 0; piece < 8; ++piece) {
      const Quads pairs = transposed(columns, offset + 16 + piece * 16);
      char* quads = to.quads + (piece / 2 * 16 + piece % 2 * 4) * 64;
      for (int i = 0; i < 4; ++i) {
        store(quads + i * 64, low_bits(pairs.q[i]));
        store(quads + (8 + i) * 64, high_bits(pairs.q[i]));
      }
    }
  }
};

struct Q5_K {
  static constexpr int64_t kBytes = perdure_block_bytes(PERDURE_Q5_K);
  static constexpr int kBias = 0;
  static constexpr int kLargest = 31;
  static constexpr int kPart = 32;
  static constexpr bool kHasMinimum = true;

  static Lanes fifth(Lanes bits, int part) {
    return (bits >> static_cast<unsigned>(part) & splat(0x01010101)) << 4;
  }
  static void unpack(const char* const* columns, int64_t offset, UnpackedSuperBlock& to) {
    unpack_parts(columns, offset, to);
    for (int half = 0; half < 2; ++half) {
      const Quads bits = transposed(columns, offset + 16 + half * 16);
      for (int pair = 0; pair < 4; ++pair) {  // of parts
        const Quads values = transposed(columns, offset + 48 + pair * 32 + half * 16);
        char* quads = to.quads + (pair * 16 + half * 4) * 64;
        for (int i = 0; i < 4; ++i) {
          store(quads + i * 64, low_bits(values.q[i]) | fifth(bits.q[i], 2 * pair));
          store(quads + (8 + i) * 64, high_bits(values.q[i]) | fifth(bits.q[i], 2 * pair + 1));
        }
      }
    }
  }
};

struct Q6_K {
  static constexpr int64_t kBytes = perdure_block_bytes(PERDURE_Q6_K);
  static constexpr int kBias = 32;
  static constexpr int kLargest = 63;
  static constexpr int kPart = 16;
  static constexpr bool kHasMinimum = false;

  static void unpack_scales_of_parts(const char* const* columns, int64_t offset,
                                     UnpackedSuperBlock& to) {
    // The block's scale is its last two bytes.
    store(to.scale, halves(transposed(columns, offset + kBytes - 16).q[3] >> 16));
    const Quads scales = transposed(columns, offset + 192);
    for (int part = 0; part < 16; ++part) {
      const auto place = static_cast<unsigned>(24 - part % 4 * 8);
      store(to.part_scales + part * 64, signed_right(scales.q[part / 4] << place, 24));
    }
  }
  static Lanes upper(Lanes bits, int run) {
    return (bits >> static_cast<unsigned>(2 * run) & splat(0x03030303)) << 4;
  }
  // Sixteen values of each of the four runs of half a block.
  static void unpack_runs(const char* const* columns, int64_t low, int64_t high, char* quads) {
    const Quads a = transposed(columns, low), b = transposed(columns, low + 32);
    const Quads bits = transposed(columns, high);
    for (int i = 0; i < 4; ++i) {
      store(quads + i * 64, low_bits(a.q[i]) | upper(bits.q[i], 0));
      store(quads + (8 + i) * 64, low_bits(b.q[i]) | upper(bits.q[i], 1));
      store(quads + (16 + i) * 64, high_bits(a.q[i]) | upper(bits.q[i], 2));
      store(quads + (24 + i) * 64, high_bits(b.q[i]) | upper(bits.q[i], 3));
    }
  }
  static void unpack(const char* const* columns, int64_t offset, UnpackedSuperBlock& to) {
    unpack_scales_of_parts(columns, offset, to);
    for (int half = 0; half < 2; ++half)
      for (int s = 0; s < 2; ++s)
        unpack_runs(columns, offset + half * 64 + s * 16, offset + 128 + half * 32 + s * 16,
                    to.quads + (half * 32 + s * 4) * 64);
  }
};

}  // namespace
}  // namespace perdure::simd::PERDURE_ISA
