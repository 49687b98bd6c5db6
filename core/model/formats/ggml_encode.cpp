// SPDX-License-Identifier: Apache-2.0

// Plain types and blocks of 32 values. Every sum and product is in ggml's order: another rounding
// would be another file.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "core/model/formats/ggml_blocks.hpp"
#include "sdk/half.hpp"

namespace perdure {
namespace {

constexpr int kBlock = 32;

void put_half(std::byte* at, float value) {
  const uint16_t half = f32_to_f16(value);
  std::memcpy(at, &half, sizeof half);
}

// A float cut to a byte as the processor cuts it: what no int32 can hold becomes the smallest one,
// whose lower byte is 0. It happens in blocks of subnormal values.
uint8_t cut(float value) {
  const bool fits = value >= -2147483648.0f && value < 2147483648.0f;
  return static_cast<uint8_t>(fits ? static_cast<int32_t>(value)
                                   : std::numeric_limits<int32_t>::min());
}

float inverse(float scale) { return scale != 0.0f ? 1.0f / scale : 0.0f; }

// The value that is furthest from zero, with its sign; the first of several.
float furthest(const float* x) {
  float magnitude = 0.0f, value = 0.0f;
  for (int i = 0; i < kBlock; ++i)
    if (magnitude < std::fabs(x[i])) {
      magnitude = std::fabs(x[i]);
      value = x[i];
    }
  return value;
}

// Two values share a byte: i and i + 16.
void put_pairs(const uint8_t* integers, std::byte* out) {
  for (int i = 0; i < kBlock / 2; ++i)
    out[i] = static_cast<std::byte>((integers[i] & 15) | (integers[i + kBlock / 2] & 15) << 4);
}

// The fifth bits of 32 values.
void put_fifths(const uint8_t* integers, std::byte* out) {
  uint32_t fifths = 0;
  for (int i = 0; i < kBlock; ++i) fifths |= (integers[i] & 16u) >> 4 << i;
  std::memcpy(out, &fifths, sizeof fifths);
}

// Symmetric: scale = furthest / -half, integers from 0 to 2 half - 1. Cut as a signed byte, as ggml
// does.
void encode_symmetric(const float* x, int half, std::byte* scale_out, uint8_t* integers) {
  const float scale = furthest(x) / static_cast<float>(-half), id = inverse(scale);
  put_half(scale_out, scale);
  for (int i = 0; i < kBlock; ++i) {
    const auto integer = static_cast<int8_t>(cut(x[i] * id + (static_cast<float>(half) + 0.5f)));
    integers[i] = static_cast<uint8_t>(std::min(2 * half - 1, static_cast<int>(integer)));
  }
}

// From the smallest value on, in steps of (largest - smallest) / `most`.
void encode_from_smallest(const float* x, int most, std::byte* out, uint8_t* integers) {
  float smallest = std::numeric_limits<float>::max(), largest = -smallest;
  for (int i = 0; i < kBlock; ++i) {
    if (x[i] < smallest) smallest = x[i];
    if (x[i] > largest) largest = x[i];
  }
  const float scale = (largest - smallest) / static_cast<float>(most), id = inverse(scale);
  put_half(out, scale);
  put_half(out + 2, smallest);
  for (int i = 0; i < kBlock; ++i) {
    const float place = (x[i] - smallest) * id;
    // Only the type of four bits is bounded in ggml.
    integers[i] = most == 15 ? static_cast<uint8_t>(std::min(
                                   15, static_cast<int>(static_cast<int8_t>(cut(place + 0.5f)))))
                             : cut(place + 0.5f);
  }
}

void encode_q8_0(const float* x, std::byte* out) {
  const float scale = std::fabs(furthest(x)) / 127.0f, id = inverse(scale);
  put_half(out, scale);
  for (int i = 0; i < kBlock; ++i) out[2 + i] = static_cast<std::byte>(cut(std::round(x[i] * id)));
}

void encode_q4_0(const float* x, std::byte* out) {
  uint8_t integers[kBlock];
  encode_symmetric(x, 8, out, integers);
  put_pairs(integers, out + 2);
}

void encode_q4_1(const float* x, std::byte* out) {
  uint8_t integers[kBlock];
  encode_from_smallest(x, 15, out, integers);
  put_pairs(integers, out + 4);
}

void encode_q5_0(const float* x, std::byte* out) {
  uint8_t integers[kBlock];
  encode_symmetric(x, 16, out, integers);
  put_fifths(integers, out + 2);
  put_pairs(integers, out + 6);
}

void encode_q5_1(const float* x, std::byte* out) {
  uint8_t integers[kBlock];
  encode_from_smallest(x, 31, out, integers);
  put_fifths(integers, out + 4);
  put_pairs(integers, out + 8);
}

void encode_halves(uint16_t (*half)(float), std::span<const float> values, std::byte* out) {
  for (const float value : values) {
    const uint16_t bits = half(value);
    std::memcpy(out, &bits, sizeof bits);
    out += sizeof bits;
  }
}

// A block of 32 or 256 values, as the type has.
void encode_block(perdure_dtype dtype, const float* x, std::byte* out) {
  switch (dtype) {
    case PERDURE_Q8_0:
      return encode_q8_0(x, out);
    case PERDURE_Q4_0:
      return encode_q4_0(x, out);
    case PERDURE_Q4_1:
      return encode_q4_1(x, out);
    case PERDURE_Q5_0:
      return encode_q5_0(x, out);
    case PERDURE_Q5_1:
      return encode_q5_1(x, out);
    default:
      return encode_super_block(dtype, x, out);
  }
}

}  // namespace

void encode_row(perdure_dtype dtype, std::span<const float> values, std::span<std::byte> out) {
  if (dtype == PERDURE_F32) {
    std::memcpy(out.data(), values.data(), values.size_bytes());
    return;
  }
  if (dtype == PERDURE_F16) return encode_halves(f32_to_f16, values, out.data());
  if (dtype == PERDURE_BF16) return encode_halves(f32_to_bf16, values, out.data());
  const auto n = static_cast<size_t>(perdure_block_values(dtype));
  std::byte* at = out.data();
  for (size_t first = 0; first < values.size(); first += n, at += perdure_block_bytes(dtype))
    encode_block(dtype, values.data() + first, at);
}

}  // namespace perdure
