// SPDX-License-Identifier: Apache-2.0

// Stored values as F32, block by block.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/model/formats/ggml_blocks.hpp"
#include "sdk/half.hpp"

namespace perdure {
namespace {

constexpr int kBlock = 32;

uint16_t bits_at(const std::byte* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return bits;
}
float half_at(const std::byte* at) { return f16_to_f32(bits_at(at)); }
int byte_at(const std::byte* at) { return std::to_integer<int>(*at); }
int signed_at(const std::byte* at) { return static_cast<int8_t>(*at); }

// Integers of four bits: value i in the lower half of byte i, value i + 16 in the upper one.
int four_bits(const std::byte* pairs, int i) {
  const int pair = byte_at(pairs + i % 16);
  return i < 16 ? pair & 15 : pair >> 4;
}

int fifth_bit(const std::byte* fifths, int i) {
  return (byte_at(fifths + i / 8) >> i % 8 & 1) << 4;
}

void decode_q8_0(const std::byte* in, float* out) {
  for (int i = 0; i < kBlock; ++i) out[i] = static_cast<float>(signed_at(in + 2 + i)) * half_at(in);
}
void decode_q4_0(const std::byte* in, float* out) {
  for (int i = 0; i < kBlock; ++i)
    out[i] = static_cast<float>(four_bits(in + 2, i) - 8) * half_at(in);
}
void decode_q4_1(const std::byte* in, float* out) {
  for (int i = 0; i < kBlock; ++i)
    out[i] = static_cast<float>(four_bits(in + 4, i)) * half_at(in) + half_at(in + 2);
}
void decode_q5_0(const std::byte* in, float* out) {
  for (int i = 0; i < kBlock; ++i)
    out[i] = static_cast<float>((four_bits(in + 6, i) | fifth_bit(in + 2, i)) - 16) * half_at(in);
}
void decode_q5_1(const std::byte* in, float* out) {
  for (int i = 0; i < kBlock; ++i)
    out[i] = static_cast<float>(four_bits(in + 8, i) | fifth_bit(in + 4, i)) * half_at(in) +
             half_at(in + 2);
}

// Scale and minimum, of 6 bits each, of one of eight parts.
struct Part {
  int scale, minimum;

  Part(const std::byte* packed, int part)
      : scale(part < 4 ? byte_at(packed + part) & 63
                       : (byte_at(packed + part + 4) & 15) | byte_at(packed + part - 4) >> 6 << 4),
        minimum(part < 4 ? byte_at(packed + part + 4) & 63
                         : byte_at(packed + part + 4) >> 4 | byte_at(packed + part) >> 6 << 4) {}
};

// Q4_K (`fifths`: nullptr) and Q5_K.
void decode_with_minimum(const std::byte* in, const std::byte* fifths, const std::byte* pairs,
                         float* out) {
  for (int part = 0; part < 8; ++part) {
    const Part p(in + 4, part);
    const float scale = half_at(in) * static_cast<float>(p.scale);
    const float minimum = half_at(in + 2) * static_cast<float>(p.minimum);
    for (int i = 0; i < kBlock; ++i) {
      const int pair = byte_at(pairs + part / 2 * kBlock + i);
      int integer = part % 2 == 0 ? pair & 15 : pair >> 4;
      if (fifths != nullptr) integer |= (byte_at(fifths + i) >> part & 1) << 4;
      out[part * kBlock + i] = scale * static_cast<float>(integer) - minimum;
    }
  }
}

void decode_q4_k(const std::byte* in, float* out) {
  decode_with_minimum(in, nullptr, in + 16, out);
}
void decode_q5_k(const std::byte* in, float* out) {
  decode_with_minimum(in, in + 16, in + 48, out);
}

void decode_q6_k(const std::byte* in, float* out) {
  for (int place = 0; place < 256; ++place) {
    const int half = place / 128, run = place / 32 % 4, i = place % 32;
    const int pair = byte_at(in + half * 64 + run % 2 * 32 + i);
    const int high = byte_at(in + 128 + half * 32 + i) >> 2 * run & 3;
    const int integer = ((run < 2 ? pair & 15 : pair >> 4) | high << 4) - 32;
    const auto scale = static_cast<float>(signed_at(in + 192 + place / 16));
    out[place] = half_at(in + 208) * scale * static_cast<float>(integer);
  }
}

void decode_block(perdure_dtype dtype, const std::byte* in, float* out) {
  switch (dtype) {
    case PERDURE_F16:
      *out = half_at(in);
      return;
    case PERDURE_BF16:
      *out = bf16_to_f32(bits_at(in));
      return;
    case PERDURE_Q8_0:
      return decode_q8_0(in, out);
    case PERDURE_Q4_0:
      return decode_q4_0(in, out);
    case PERDURE_Q4_1:
      return decode_q4_1(in, out);
    case PERDURE_Q5_0:
      return decode_q5_0(in, out);
    case PERDURE_Q5_1:
      return decode_q5_1(in, out);
    case PERDURE_Q4_K:
      return decode_q4_k(in, out);
    case PERDURE_Q5_K:
      return decode_q5_k(in, out);
    default:
      return decode_q6_k(in, out);
  }
}

}  // namespace

void decode_row(perdure_dtype dtype, std::span<const std::byte> stored, std::span<float> out) {
  if (dtype == PERDURE_F32) {
    std::memcpy(out.data(), stored.data(), out.size_bytes());
    return;
  }
  const auto n = static_cast<size_t>(perdure_block_values(dtype));
  const std::byte* at = stored.data();
  for (size_t first = 0; first < out.size(); first += n, at += perdure_block_bytes(dtype))
    decode_block(dtype, at, out.data() + first);
}

}  // namespace perdure
