// SPDX-License-Identifier: Apache-2.0

// Reading weights in GGUF's blocks of 256 values: parts of 16 or 32 values, each with an integer
// scale, and in some types an integer minimum, that the block's own scales multiply. As F32 a value
// is (scale * part's scale) * integer - smallest * part's minimum, rounded as ggml does.
#pragma once

#include <cstdint>

#include "plugins/kernels/common/weights.hpp"

namespace perdure::kernels {

// The block that holds a column, and the column's place in it.
struct SuperBlock {
  const char* data;
  int64_t place;

  SuperBlock(const perdure_tensor& w, int64_t row, int64_t column)
      : data(weight_row(w, row) + column / 256 * perdure_block_bytes(w.dtype)),
        place(column % 256) {}
  int32_t byte(int64_t i) const { return static_cast<uint8_t>(data[i]); }
  float half(int64_t i) const { return f16_to_f32(load_u16(data + i, 0)); }
};

template <typename Type>
struct ReadSuperBlocks {
  static float at(const perdure_tensor& w, int64_t row, int64_t column) {
    const SuperBlock block(w, row, column);
    const int64_t part = block.place / Type::kPart;
    const float value = Type::scale(block) * static_cast<float>(Type::part_scale(block, part)) *
                        static_cast<float>(Type::integer(block));
    if (!Type::kHasMinimum) return value;
    return value - Type::smallest(block) * static_cast<float>(Type::part_minimum(block, part));
  }
};

// Scale, smallest, 12 bytes with eight scales and eight minima of 6 bits: the first four of each in
// the lower bits of a byte, of the others the upper two bits above those.
template <typename Type>
struct ReadPartsOf32 : ReadSuperBlocks<Type> {
  static constexpr bool kHasMinimum = true;
  static constexpr int64_t kPart = 32;
  static float scale(const SuperBlock& block) { return block.half(0); }
  static float smallest(const SuperBlock& block) { return block.half(2); }
  static int32_t part_scale(const SuperBlock& block, int64_t part) {
    if (part < 4) return block.byte(4 + part) & 63;
    return (block.byte(8 + part) & 15) | block.byte(part) >> 6 << 4;
  }
  static int32_t part_minimum(const SuperBlock& block, int64_t part) {
    if (part < 4) return block.byte(8 + part) & 63;
    return block.byte(8 + part) >> 4 | block.byte(4 + part) >> 6 << 4;
  }
  // Two parts share 32 bytes, the first has the lower halves; they begin at `offset`.
  static int32_t four_bits(const SuperBlock& block, int64_t offset) {
    const int32_t pair = block.byte(offset + block.place / 64 * 32 + block.place % 32);
    return block.place / 32 % 2 == 0 ? pair & 15 : pair >> 4;
  }
};
struct ReadQ4_K : ReadPartsOf32<ReadQ4_K> {
  static int32_t integer(const SuperBlock& block) { return four_bits(block, 16); }
};
// Bit p of byte i of 32 is the fifth bit of value i of part p.
struct ReadQ5_K : ReadPartsOf32<ReadQ5_K> {
  static int32_t integer(const SuperBlock& block) {
    const int32_t fifths = block.byte(16 + block.place % 32) >> block.place / 32;
    return four_bits(block, 48) | (fifths & 1) << 4;
  }
};
// 128 bytes with four bits each, 64 with two, 16 scales, and the block's scale at the end. Half a
// block is four runs of 32 values: of its 64 bytes runs 0 and 1 have the lower halves, 2 and 3 the
// upper ones; its 32 bytes have two bits of each run.
struct ReadQ6_K : ReadSuperBlocks<ReadQ6_K> {
  static constexpr bool kHasMinimum = false;
  static constexpr int64_t kPart = 16;
  static float scale(const SuperBlock& block) { return block.half(208); }
  static float smallest(const SuperBlock&) { return 0.0f; }
  static int32_t part_scale(const SuperBlock& block, int64_t part) {
    return static_cast<int8_t>(block.data[192 + part]);
  }
  static int32_t part_minimum(const SuperBlock&, int64_t) { return 0; }
  static int32_t integer(const SuperBlock& block) {
    const int64_t half = block.place / 128, run = block.place / 32 % 4, i = block.place % 32;
    const int32_t pair = block.byte(half * 64 + run % 2 * 32 + i);
    const int32_t high = block.byte(128 + half * 32 + i) >> 2 * run & 3;
    return ((run < 2 ? pair & 15 : pair >> 4) | high << 4) - 32;
  }
};
// Rows of activations: an F32 scale, 256 int8, and the sums of every 16 of them.
struct ReadQ8_K {
  static constexpr int64_t kSums = 260;
  static float scale(const SuperBlock& block) { return load_f32(block.data, 0); }
  static int32_t integer(const SuperBlock& block) {
    return static_cast<int8_t>(block.data[4 + block.place]);
  }
};

}  // namespace perdure::kernels
