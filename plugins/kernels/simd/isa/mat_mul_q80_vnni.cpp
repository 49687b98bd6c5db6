// SPDX-License-Identifier: Apache-2.0

// Q80 rows times Q80 weights with VNNI: the weights are packed with 128 added, because the
// instruction multiplies unsigned by signed bytes; the integer sum of a group starts at -128 times
// the sum of its activations.
#include <immintrin.h>

#include "plugins/kernels/simd/isa/q80_product.hpp"
#include "plugins/kernels/simd/isa/table.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

// sum + four products of unsigned by signed bytes in every lane. Written as assembly because g++ 12
// copies every sum before and after the intrinsic, and then runs out of registers.
inline __m512i multiply_add(__m512i sum, __m512i weights, __m512i x) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(weights), "v"(x));
  return sum;
}

struct VnniTile {
  static constexpr int kRows = 6;
  static constexpr int kPanels = 2;

  template <int kRowsHere, int kPanelsHere>
  static void run(const Q80Product& p, int64_t row, int64_t panel) {
    __m512 sums[kRowsHere][kPanelsHere];
    for (int r = 0; r < kRowsHere; ++r)
      for (int q = 0; q < kPanelsHere; ++q) sums[r][q] = _mm512_setzero_ps();
    const int8_t* x = p.x + row * p.x_stride;
    const char* w = p.weights + panel * p.layout.panel_bytes;
    for (int64_t g = 0; g < p.layout.n_groups; ++g) {
      __m512i exact[kRowsHere][kPanelsHere];
      for (int r = 0; r < kRowsHere; ++r)
        for (int q = 0; q < kPanelsHere; ++q)
          exact[r][q] = _mm512_set1_epi32(p.offsets[(row + r) * p.layout.n_groups + g]);
      for (int64_t quad = 0; quad < p.layout.quads; ++quad, x += 4) {
        __m512i weights[kPanelsHere];
        for (int q = 0; q < kPanelsHere; ++q)
          weights[q] = _mm512_loadu_si512(w + q * p.layout.panel_bytes + quad * 64);
        for (int r = 0; r < kRowsHere; ++r) {
          int32_t four;
          memcpy(&four, x + r * p.x_stride, sizeof four);
          for (int q = 0; q < kPanelsHere; ++q)
            exact[r][q] = multiply_add(exact[r][q], weights[q], _mm512_set1_epi32(four));
        }
      }
      for (int q = 0; q < kPanelsHere; ++q) {
        const __m512 scales = _mm512_loadu_ps(w + q * p.layout.panel_bytes + p.layout.quads * 64);
        for (int r = 0; r < kRowsHere; ++r) {
          const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(exact[r][q]), scales);
          const __m512 x_scale = _mm512_set1_ps(p.x_scale(row + r, g));
          sums[r][q] = _mm512_add_ps(sums[r][q], _mm512_mul_ps(scaled, x_scale));
        }
      }
      w += p.layout.group_bytes;
    }
    for (int q = 0; q < kPanelsHere; ++q) {
      const int64_t column = (panel + q) * kPanelColumns;
      const int64_t rest = p.n - column;
      const __mmask16 mask =
          rest >= kPanelColumns ? 0xffff : static_cast<__mmask16>((1u << rest) - 1);
      for (int r = 0; r < kRowsHere; ++r)
        _mm512_mask_storeu_ps(reinterpret_cast<float*>(p.y + (row + r) * p.y_stride) + column, mask,
                              sums[r][q]);
    }
  }
};

}  // namespace

int run_mat_mul_q80(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  run_q80<VnniTile>(call, begin, end, scratch);
  return PERDURE_OK;
}

}  // namespace perdure::simd::PERDURE_ISA
