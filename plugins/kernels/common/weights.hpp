// SPDX-License-Identifier: Apache-2.0

// Reading single values of weights of any type as F32, aligned or not.
#pragma once

#include <cstdint>
#include <cstring>

#include "plugins/kernels/common/prepare.hpp"
#include "sdk/half.hpp"

namespace perdure::kernels {

inline uint16_t load_u16(const void* data, int64_t i) {
  uint16_t value;
  std::memcpy(&value, static_cast<const char*>(data) + i * sizeof value, sizeof value);
  return value;
}

inline const char* weight_row(const perdure_tensor& w, int64_t row) {
  return static_cast<const char*>(w.data) + row * w.row_stride_bytes;
}

// The block of 32 values that holds a column, and the column's place in it.
struct Block {
  const char* data;
  int64_t place;

  Block(const perdure_tensor& w, int64_t row, int64_t column)
      : data(weight_row(w, row) + column / 32 * perdure_block_bytes(w.dtype)), place(column % 32) {}
  float scale() const { return f16_to_f32(load_u16(data, 0)); }
  float minimum() const { return f16_to_f32(load_u16(data, 1)); }
  // The value's half of a byte; they begin at `offset`.
  int32_t four_bits(int64_t offset) const {
    const auto pair = static_cast<uint8_t>(data[offset + place % 16]);
    return place < 16 ? pair & 15 : pair >> 4;
  }
  // The same behind the fifth bits of all values.
  int32_t five_bits(int64_t offset) const {
    const auto eight = static_cast<uint8_t>(data[offset + place / 8]);
    return four_bits(offset + 4) | (eight >> place % 8 & 1) << 4;
  }
};

// One reader per weight type.
struct ReadF32 {
  static float at(const perdure_tensor& w, int64_t row, int64_t column) {
    return load_f32(weight_row(w, row), column);
  }
};
struct ReadF16 {
  static float at(const perdure_tensor& w, int64_t row, int64_t column) {
    return f16_to_f32(load_u16(weight_row(w, row), column));
  }
};
struct ReadBf16 {
  static float at(const perdure_tensor& w, int64_t row, int64_t column) {
    return bf16_to_f32(load_u16(weight_row(w, row), column));
  }
};
struct ReadQ80 {
  static float at(const perdure_tensor& w, int64_t row, int64_t column) {
    const int64_t i = row * w.row_stride_bytes + column;
    return static_cast<const int8_t*>(w.data)[i] * load_f32(w.scales, i / w.group_size);
  }
};
// Types in blocks of 32 values: an integer times the block's scale, and in some types plus the
// block's minimum. First scale and minimum in half precision, then a fifth bit of each value, then
// 16 bytes, the values 0 to 15 in their lower, 16 to 31 in their upper halves.
template <typename Type>
struct ReadBlocks {
  static float at(const perdure_tensor& w, int64_t row, int64_t column) {
    const Block block(w, row, column);
    const float value = static_cast<float>(Type::integer(block)) * block.scale();
    return Type::kHasMinimum ? value + block.minimum() : value;
  }
};
struct ReadQ8_0 : ReadBlocks<ReadQ8_0> {  // 32 int8 behind the scale
  static constexpr bool kHasMinimum = false;
  static int32_t integer(const Block& block) {
    return static_cast<int8_t>(block.data[2 + block.place]);
  }
};
struct ReadQ4_0 : ReadBlocks<ReadQ4_0> {
  static constexpr bool kHasMinimum = false;
  static int32_t integer(const Block& block) { return block.four_bits(2) - 8; }
};
struct ReadQ4_1 : ReadBlocks<ReadQ4_1> {
  static constexpr bool kHasMinimum = true;
  static int32_t integer(const Block& block) { return block.four_bits(4); }
};
struct ReadQ5_0 : ReadBlocks<ReadQ5_0> {
  static constexpr bool kHasMinimum = false;
  static int32_t integer(const Block& block) { return block.five_bits(2) - 16; }
};
struct ReadQ5_1 : ReadBlocks<ReadQ5_1> {
  static constexpr bool kHasMinimum = true;
  static int32_t integer(const Block& block) { return block.five_bits(4); }
};

// Whether read_weight knows the type of a constant.
inline bool is_readable(const perdure_value& v) {
  const uint32_t dtype = v.tensor.dtype;
  return v.kind == PERDURE_VALUE_CONSTANT && dtype != PERDURE_I64 && dtype <= PERDURE_Q6_K;
}

// An element of a weight whose type is known only now. For rows, not for products.
// Requires: is_readable of the weight.
float read_weight(const perdure_tensor& w, int64_t row, int64_t column);

}  // namespace perdure::kernels
