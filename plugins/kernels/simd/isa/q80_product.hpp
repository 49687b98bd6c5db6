// SPDX-License-Identifier: Apache-2.0

// The walk through a product of Q80 rows with packed Q80 weights, common to the kernels of every
// instruction set. Sums inside a group are exact integers; groups are scaled and added in order,
// each step rounded as in the scalar definition: all these kernels give the definition's bits.
#pragma once

#include "plugins/kernels/simd/isa/q80_layout.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

// Rows ready for tiles, and the weights.
struct Q80Product {
  Q80Layout layout;
  const int8_t* x;  // [rows, staged bytes]
  int64_t x_stride;
  const int32_t* offsets;  // [rows, n_groups]: -128 * sum of the group
  const char* x_scales;    // [rows, n_groups] F32
  const char* weights;     // panels
  char* y;
  int64_t y_stride;
  int64_t n;  // columns of the result

  float x_scale(int64_t row, int64_t group) const {
    return kernels::load_f32(x_scales, row * layout.n_groups + group);
  }
};

// Copies a row with its groups filled up to multiples of four.
inline void stage_row(const int8_t* x, int64_t group, const Q80Layout& layout, int8_t* staged,
                      int32_t* offsets) {
  const int64_t filled = layout.quads * 4;
  for (int64_t g = 0; g < layout.n_groups; ++g) {
    int32_t sum = 0;
    for (int64_t i = 0; i < group; ++i) sum += x[g * group + i];
    offsets[g] = -128 * sum;
    memcpy(staged + g * filled, x + g * group, static_cast<size_t>(group));
    memset(staged + g * filled + group, 0, static_cast<size_t>(filled - group));
  }
}

// All staged rows times kPanels panels, as many rows at a time as Tile has registers for.
template <typename Tile, int kPanels, int kRows>
inline void rows_by(const Q80Product& p, int64_t row, int64_t n_rows, int64_t panel) {
  for (; row + kRows <= n_rows; row += kRows) Tile::template run<kRows, kPanels>(p, row, panel);
  if constexpr (kRows > 1) rows_by<Tile, kPanels, kRows - 1>(p, row, n_rows, panel);
}

template <typename Tile>
inline void panels(const Q80Product& p, int64_t n_rows, int64_t begin, int64_t end) {
  int64_t panel = begin;
  for (; panel + Tile::kPanels <= end; panel += Tile::kPanels)
    rows_by<Tile, Tile::kPanels, Tile::kRows>(p, 0, n_rows, panel);
  for (; panel < end; ++panel) rows_by<Tile, 1, Tile::kRows>(p, 0, n_rows, panel);
}

// Requires: begin is a multiple of kPanelColumns.
template <typename Tile>
inline void run_q80(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  using namespace kernels;
  const auto& params = *static_cast<const MatMulParams*>(call->params);
  const perdure_value& x = call->inputs[0];
  const perdure_tensor& y = call->outputs[0].tensor;
  const Q80Layout layout = q80_layout(params.k, params.group);
  const int64_t staged_bytes = q80_staged_bytes(layout);
  int8_t* staged = static_cast<int8_t*>(scratch);
  int32_t* offsets = reinterpret_cast<int32_t*>(staged + kStagedRows * staged_bytes);
  const int64_t n_rows = count_rows(params.rows, *call->step);
  for (int64_t first = 0; first < n_rows; first += kStagedRows) {
    const int64_t rest = n_rows - first;
    const int64_t count = rest < kStagedRows ? rest : kStagedRows;
    for (int64_t r = 0; r < count; ++r)
      stage_row(row_of<int8_t>(x, first + r), params.group, layout, staged + r * staged_bytes,
                offsets + r * layout.n_groups);
    const Q80Product product = {layout,
                                staged,
                                staged_bytes,
                                offsets,
                                reinterpret_cast<const char*>(scales_of(x, first)),
                                static_cast<const char*>(call->packed[1]),
                                static_cast<char*>(y.data) + first * y.row_stride_bytes,
                                y.row_stride_bytes,
                                params.n};
    panels<Tile>(product, count, begin / kPanelColumns, q80_panels(end));
  }
}

}  // namespace
}  // namespace perdure::simd::PERDURE_ISA
