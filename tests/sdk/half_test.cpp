// SPDX-License-Identifier: Apache-2.0

// Half precision against the compiler's own conversion, over every half and around every border.
#include "sdk/half.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace perdure;

namespace {

// The nearest of two neighbouring values of `wide`, ties to the even encoding.
template <float (*to_f32)(uint16_t), uint16_t (*from_f32)(float)>
void check_every_value() {
  for (uint32_t code = 0; code < 0x10000; ++code) {
    const auto half = static_cast<uint16_t>(code);
    const float value = to_f32(half);
    if (std::isnan(value)) {
      CHECK(std::isnan(to_f32(from_f32(value))));
      continue;
    }
    REQUIRE(from_f32(value) == half);
    if (std::isinf(value)) continue;
    const auto above = static_cast<uint16_t>(code + 1);  // the next larger magnitude
    const float next = to_f32(above);
    if (std::isinf(next)) continue;
    const float middle = value + (next - value) / 2;  // exact: one more bit
    REQUIRE(from_f32(middle) == (code % 2 == 0 ? half : above));
    REQUIRE(from_f32(std::nextafter(middle, value)) == half);
    REQUIRE(from_f32(std::nextafter(middle, next)) == above);
  }
}

}  // namespace

TEST_CASE("every half comes back, and what lies between two goes to the nearest, ties to even") {
  check_every_value<f16_to_f32, f32_to_f16>();
}

TEST_CASE("every bfloat16 comes back, and what lies between two goes to the nearest") {
  check_every_value<bf16_to_f32, f32_to_bf16>();
}

TEST_CASE("known halves have their values") {
  CHECK(f16_to_f32(0x3c00) == 1.0f);
  CHECK(f16_to_f32(0xc000) == -2.0f);
  CHECK(f16_to_f32(0x7bff) == 65504.0f);
  CHECK(f16_to_f32(0x0001) == std::ldexp(1.0f, -24));
  CHECK(bf16_to_f32(0x4049) == 3.140625f);
}

TEST_CASE("what no half can hold becomes infinite") {
  CHECK(f32_to_f16(65519.996f) == 0x7bff);
  CHECK(f32_to_f16(65520.0f) == 0x7c00);
  CHECK(f32_to_f16(-1e30f) == 0xfc00);
  CHECK(f32_to_f16(std::numeric_limits<float>::infinity()) == 0x7c00);
}
