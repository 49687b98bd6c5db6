// SPDX-License-Identifier: Apache-2.0

// Blocks of 256 values, in parts of 32 or 16 each with a scale of its own, and in Q4_K and Q5_K a
// minimum. A part's scale is searched for: several are tried, and for the integers that each gives,
// the scale (and the minimum) with the least weighted squared error is computed. Every sum and
// product is in ggml's order: another rounding would be another file.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/model/formats/ggml_blocks.hpp"
#include "sdk/half.hpp"

namespace perdure {
namespace {

constexpr int kValues = 256;
constexpr float kNothing = 1e-15f;  // parts below it are zero

// To the nearest whole number, ties to even, as ggml does it: only |value| < 2^22 means something,
// everything else is some number.
int nearest(float value) {
  const uint32_t bits = bits_of_float(value + 12582912.0f);
  return static_cast<int>(bits & 0x007fffffu) - 0x00400000;
}

void put_half(std::byte* at, float value) {
  const uint16_t half = f32_to_f16(value);
  std::memcpy(at, &half, sizeof half);
}

// What is stored is what is computed with.
float as_half(float value) { return f16_to_f32(f32_to_f16(value)); }

// --- Parts of 32 values with a minimum: Q4_K and Q5_K. ---

constexpr int kPart = 32, kParts = kValues / kPart;

// What differs between the two types.
struct WithMinimum {
  int most;           // of an integer
  float first, step;  // of what is added to `most` while scales are tried
  int n_steps;
};

constexpr WithMinimum kQ4K = {15, -1.0f, 0.1f, 20};
constexpr WithMinimum kQ5K = {31, -0.5f, 0.1f, 15};

struct Line {
  float scale = 0, minimum = 0;  // value = scale * integer + minimum, minimum <= 0
};

// The weighted sums over a part that do not depend on integers.
struct PartSums {
  float smallest, largest, weights, values;

  PartSums(const float* x, const float* w)
      : smallest(x[0]), largest(x[0]), weights(w[0]), values(w[0] * x[0]) {
    for (int i = 1; i < kPart; ++i) {
      if (x[i] < smallest) smallest = x[i];
      if (x[i] > largest) largest = x[i];
      weights += w[i];
      values += w[i] * x[i];
    }
    if (smallest > 0) smallest = 0;
  }
};

float error_of(const float* x, const float* w, const uint8_t* integers, const Line& line) {
  float error = 0;
  for (int i = 0; i < kPart; ++i) {
    const float difference = line.scale * static_cast<float>(integers[i]) + line.minimum - x[i];
    error += w[i] * (difference * difference);
  }
  return error;
}

void round_part(const float* x, float inverse_scale, float smallest, int most, uint8_t* integers) {
  for (int i = 0; i < kPart; ++i)
    integers[i] =
        static_cast<uint8_t>(std::clamp(nearest(inverse_scale * (x[i] - smallest)), 0, most));
}

// The line through the integers with the least error; false if there is none.
bool best_line(const float* x, const float* w, const uint8_t* integers, const PartSums& sums,
               Line& line) {
  float l = 0, ll = 0, lx = 0;
  for (int i = 0; i < kPart; ++i) {
    const auto integer = static_cast<float>(integers[i]);
    l += w[i] * integer;
    ll += w[i] * integer * integer;
    lx += w[i] * integer * x[i];
  }
  const float determinant = sums.weights * ll - l * l;
  if (!(determinant > 0)) return false;
  line.scale = (sums.weights * lx - sums.values * l) / determinant;
  line.minimum = (ll * sums.values - l * lx) / determinant;
  if (line.minimum > 0) line = {.scale = lx / ll, .minimum = 0};
  return true;
}

Line fit_part(const float* x, const WithMinimum& type, uint8_t* integers) {
  float squares = 0;
  for (int i = 0; i < kPart; ++i) squares += x[i] * x[i];
  const float average = std::sqrt(squares / kPart);
  float w[kPart];
  for (int i = 0; i < kPart; ++i) w[i] = average + std::fabs(x[i]);
  const PartSums sums(x, w);
  std::fill_n(integers, kPart, uint8_t{0});
  if (sums.largest == sums.smallest) return {.scale = 0, .minimum = sums.smallest};
  const auto most = static_cast<float>(type.most);
  const float inverse_scale = most / (sums.largest - sums.smallest);
  Line line{.scale = 1 / inverse_scale, .minimum = sums.smallest};
  round_part(x, inverse_scale, sums.smallest, type.most, integers);
  float least = error_of(x, w, integers, line);
  for (int step = 0; step <= type.n_steps; ++step) {
    uint8_t tried[kPart];
    // From the minimum of the best line so far, not from the smallest value.
    round_part(
        x,
        (type.first + type.step * static_cast<float>(step) + most) / (sums.largest - line.minimum),
        line.minimum, type.most, tried);
    Line candidate;
    if (!best_line(x, w, tried, sums, candidate)) continue;
    const float error = error_of(x, w, tried, candidate);
    if (!(error < least)) continue;
    std::copy_n(tried, kPart, integers);
    least = error;
    line = candidate;
  }
  return line;
}

// A part's scale or minimum as 6 bits of the block's.
uint8_t six_bits(float inverse, float value) {
  return std::min<uint8_t>(63, static_cast<uint8_t>(nearest(inverse * value)));
}

// Eight scales and eight minima of 6 bits in 12 bytes: the first four of each in the lower bits of
// a byte, of the others the upper two bits above those.
void put_parts(const uint8_t* scales, const uint8_t* minima, uint8_t* out) {
  for (int part = 0; part < 4; ++part) {
    out[part] = scales[part];
    out[part + 4] = minima[part];
  }
  for (int part = 4; part < kParts; ++part) {
    out[part + 4] = static_cast<uint8_t>((scales[part] & 15) | (minima[part] & 15) << 4);
    out[part - 4] = static_cast<uint8_t>(out[part - 4] | scales[part] >> 4 << 6);
    out[part] = static_cast<uint8_t>(out[part] | minima[part] >> 4 << 6);
  }
}

// Scales, minima and the integers that they give: the first 16 bytes of a block, and `integers`.
void fit_block(const float* x, const WithMinimum& type, std::byte* out, uint8_t* integers) {
  Line lines[kParts];
  float largest = 0, deepest = 0;
  for (int part = 0; part < kParts; ++part) {
    lines[part] = fit_part(x + part * kPart, type, integers + part * kPart);
    largest = std::max(largest, lines[part].scale);
    deepest = std::max(deepest, -lines[part].minimum);
  }
  const float to_scale = largest > 0 ? 63.0f / largest : 0.0f;
  const float to_minimum = deepest > 0 ? 63.0f / deepest : 0.0f;
  uint8_t scales[kParts], minima[kParts], packed[12];
  for (int part = 0; part < kParts; ++part) {
    scales[part] = six_bits(to_scale, lines[part].scale);
    minima[part] = six_bits(to_minimum, -lines[part].minimum);
  }
  put_parts(scales, minima, packed);
  put_half(out, largest / 63.0f);
  put_half(out + 2, deepest / 63.0f);
  std::memcpy(out + 4, packed, sizeof packed);
  for (int part = 0; part < kParts; ++part) {
    const float scale = as_half(largest / 63.0f) * static_cast<float>(scales[part]);
    if (scale == 0) continue;  // the integers of the search stay
    const float minimum = as_half(deepest / 63.0f) * static_cast<float>(minima[part]);
    for (int i = part * kPart; i < (part + 1) * kPart; ++i)
      integers[i] =
          static_cast<uint8_t>(std::clamp(nearest((x[i] + minimum) / scale), 0, type.most));
  }
}

// Two parts share 32 bytes, the first has the lower halves.
void put_four_bits(const uint8_t* integers, std::byte* out) {
  for (int first = 0; first < kValues; first += 2 * kPart, out += kPart)
    for (int i = 0; i < kPart; ++i)
      out[i] = static_cast<std::byte>((integers[first + i] & 15) |
                                      (integers[first + kPart + i] & 15) << 4);
}

void encode_q4_k(const float* x, std::byte* out) {
  uint8_t integers[kValues];
  fit_block(x, kQ4K, out, integers);
  put_four_bits(integers, out + 16);
}

void encode_q5_k(const float* x, std::byte* out) {
  uint8_t integers[kValues];
  fit_block(x, kQ5K, out, integers);
  for (int i = 0; i < kPart; ++i) {
    int fifths = 0;
    for (int part = 0; part < kParts; ++part) fifths |= integers[part * kPart + i] >> 4 << part;
    out[16 + i] = static_cast<std::byte>(fifths);
  }
  put_four_bits(integers, out + 48);
}

// --- Parts of 16 values without a minimum: Q6_K. ---

constexpr int kSmallPart = 16, kSmallParts = kValues / kSmallPart;
constexpr int kHalfRange = 32;  // integers are -32 to 31

int symmetric(float value) { return std::clamp(nearest(value), -kHalfRange, kHalfRange - 1); }

// The sums that tell the best scale for the integers of an inverse scale.
struct ScaleSums {
  float lx = 0, ll = 0;

  ScaleSums(const float* x, float inverse_scale) {
    for (int i = 0; i < kSmallPart; ++i) {
      const auto l = static_cast<float>(symmetric(inverse_scale * x[i]));
      const float w = x[i] * x[i];
      lx += w * x[i] * l;
      ll += w * l * l;
    }
  }
};

// The scale of a part and the integers, from 0, that it was found with.
float fit_symmetric(const float* x, uint8_t* integers) {
  float magnitude = 0, largest = 0;
  for (int i = 0; i < kSmallPart; ++i)
    if (std::fabs(x[i]) > magnitude) {
      magnitude = std::fabs(x[i]);
      largest = x[i];
    }
  std::fill_n(integers, kSmallPart, uint8_t{0});
  if (magnitude < kNothing) return 0;
  const auto round_by = [&](float inverse_scale) {
    for (int i = 0; i < kSmallPart; ++i)
      integers[i] = static_cast<uint8_t>(symmetric(inverse_scale * x[i]) + kHalfRange);
  };
  const float first = -static_cast<float>(kHalfRange) / largest;
  round_by(first);
  const ScaleSums sums(x, first);
  float scale = sums.ll != 0 ? sums.lx / sums.ll : 0.0f;
  float best = scale * sums.lx;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) continue;
    const float tried =
        -(static_cast<float>(kHalfRange) + 0.1f * static_cast<float>(step)) / largest;
    const ScaleSums other(x, tried);
    if (!(other.ll > 0 && other.lx * other.lx > best * other.ll)) continue;
    round_by(tried);
    scale = other.lx / other.ll;
    best = scale * other.lx;
  }
  return scale;
}

// 128 bytes with four bits each and 64 with two: half a block is four runs of 32 values.
void put_six_bits(const uint8_t* integers, std::byte* low, std::byte* high) {
  for (int half = 0; half < 2; ++half, low += 64, high += 32)
    for (int i = 0; i < 32; ++i) {
      const uint8_t* runs = integers + half * 128 + i;
      low[i] = static_cast<std::byte>((runs[0] & 15) | (runs[64] & 15) << 4);
      low[i + 32] = static_cast<std::byte>((runs[32] & 15) | (runs[96] & 15) << 4);
      high[i] = static_cast<std::byte>(runs[0] >> 4 | runs[32] >> 4 << 2 | runs[64] >> 4 << 4 |
                                       runs[96] >> 4 << 6);
    }
}

void encode_q6_k(const float* x, std::byte* out) {
  uint8_t integers[kValues];
  float scales[kSmallParts];
  float magnitude = 0, largest = 0;
  for (int part = 0; part < kSmallParts; ++part) {
    scales[part] = fit_symmetric(x + part * kSmallPart, integers + part * kSmallPart);
    if (std::fabs(scales[part]) > magnitude) {
      magnitude = std::fabs(scales[part]);
      largest = scales[part];
    }
  }
  if (magnitude < kNothing) {
    std::fill_n(out, perdure_block_bytes(PERDURE_Q6_K), std::byte{0});
    return;
  }
  const float inverse_scale = -128.0f / largest;
  put_half(out + 208, 1 / inverse_scale);
  for (int part = 0; part < kSmallParts; ++part) {
    const auto stored = static_cast<int8_t>(std::min(127, nearest(inverse_scale * scales[part])));
    out[192 + part] = static_cast<std::byte>(stored);
    const float scale = as_half(1 / inverse_scale) * static_cast<float>(stored);
    if (scale == 0) continue;  // the integers of the search stay
    for (int i = part * kSmallPart; i < (part + 1) * kSmallPart; ++i)
      integers[i] = static_cast<uint8_t>(symmetric(x[i] / scale) + kHalfRange);
  }
  put_six_bits(integers, out, out + 128);
}

}  // namespace

void encode_super_block(perdure_dtype dtype, const float* values, std::byte* out) {
  if (dtype == PERDURE_Q4_K) return encode_q4_k(values, out);
  if (dtype == PERDURE_Q5_K) return encode_q5_k(values, out);
  encode_q6_k(values, out);
}

}  // namespace perdure
