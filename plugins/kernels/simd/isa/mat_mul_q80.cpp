// SPDX-License-Identifier: Apache-2.0

// Q80 rows times Q80 weights without VNNI, in vectors of 256 bits (AVX-512 has no byte sign
// instruction): |w| is the unsigned factor, x takes the sign of w; pairs stay below 2^15 because
// |x| <= 127.
#include "plugins/kernels/simd/isa/q80_product.hpp"
#include "plugins/kernels/simd/isa/runs.hpp"
#include "plugins/kernels/simd/isa/vector.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

// A panel is two vectors wide: columns 0 .. 7 and 8 .. 15.
struct SignTile {
  static constexpr int kRows = 2;
  static constexpr int kPanels = 1;
  static constexpr int kHalves = 2;

  static __m256i load(const char* w) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
  }

  static __m256i multiply_add(__m256i sum, __m256i w, __m256i x) {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }

  static void store_half(float* y, __m256 v, int64_t n) {
    float lanes[8];
    _mm256_storeu_ps(lanes, v);
    if (n > 0) memcpy(y, lanes, static_cast<size_t>(n < 8 ? n : 8) * sizeof(float));
  }

  template <int kRowsHere, int>
  static void run(const Q80Product& p, int64_t row, int64_t panel) {
    __m256 sums[kRowsHere][kHalves];
    for (int r = 0; r < kRowsHere; ++r)
      for (int h = 0; h < kHalves; ++h) sums[r][h] = _mm256_setzero_ps();
    const int8_t* x = p.x + row * p.x_stride;
    const char* w = p.weights + panel * p.layout.panel_bytes;
    for (int64_t g = 0; g < p.layout.n_groups; ++g) {
      __m256i exact[kRowsHere][kHalves];
      for (int r = 0; r < kRowsHere; ++r)
        for (int h = 0; h < kHalves; ++h) exact[r][h] = _mm256_setzero_si256();
      for (int64_t quad = 0; quad < p.layout.quads; ++quad, x += 4, w += 64) {
        for (int r = 0; r < kRowsHere; ++r) {
          int32_t four;
          memcpy(&four, x + r * p.x_stride, sizeof four);
          for (int h = 0; h < kHalves; ++h)
            exact[r][h] = multiply_add(exact[r][h], load(w + h * 32), _mm256_set1_epi32(four));
        }
      }
      for (int h = 0; h < kHalves; ++h) {
        const __m256 scales = _mm256_loadu_ps(reinterpret_cast<const float*>(w) + h * 8);
        for (int r = 0; r < kRowsHere; ++r) {
          const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(exact[r][h]), scales);
          const __m256 x_scale = _mm256_set1_ps(p.x_scale(row + r, g));
          sums[r][h] = _mm256_add_ps(sums[r][h], _mm256_mul_ps(scaled, x_scale));
        }
      }
      w += 64;
    }
    for (int r = 0; r < kRowsHere; ++r) {
      float* y = reinterpret_cast<float*>(p.y + (row + r) * p.y_stride);
      for (int h = 0; h < kHalves; ++h) {
        const int64_t column = panel * kPanelColumns + h * 8;
        store_half(y + column, sums[r][h], p.n - column);
      }
    }
  }
};

}  // namespace

int run_mat_mul_q80(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  run_q80<SignTile>(call, begin, end, scratch);
  return PERDURE_OK;
}

}  // namespace perdure::simd::PERDURE_ISA
