// SPDX-License-Identifier: Apache-2.0

// Weights in the layouts that the kernels read.
#include <algorithm>
#include <cstring>

#include "plugins/kernels/common/weights.hpp"
#include "plugins/kernels/simd/isa/q80_layout.hpp"
#include "plugins/kernels/simd/simd.hpp"

namespace perdure::simd {
namespace {

struct Q80Source {
  const char* values;
  const char* scales;
  int64_t n, stride, group;  // stride: values from row to row
};

// Up to four values of k of one column.
uint32_t load_quad(const char* values, int64_t count) {
  uint32_t four = 0;
  if (count >= 4)
    std::memcpy(&four, values, 4);  // a length known to the compiler: a plain load
  else
    std::memcpy(&four, values, static_cast<size_t>(count));
  return four;
}

// Group g of the panel that begins at `column`; `flip` turns each value into value + 128.
void pack_group(const Q80Source& w, const Q80Layout& layout, int64_t column, int64_t g,
                uint32_t flip, char* to) {
  const int64_t n_columns = std::min(kPanelColumns, w.n - column);
  float scales[kPanelColumns] = {};
  for (int64_t c = 0; c < n_columns; ++c) {
    const char* from = w.values + (column + c) * w.stride + g * w.group;
    for (int64_t q = 0; q < layout.quads; ++q) {
      const uint32_t four = load_quad(from + 4 * q, w.group - 4 * q) ^ flip;
      std::memcpy(to + (q * kPanelColumns + c) * 4, &four, sizeof four);
    }
    scales[c] = load_f32(w.scales, (column + c) * (w.stride / w.group) + g);
  }
  for (int64_t c = n_columns; c < kPanelColumns; ++c)
    for (int64_t q = 0; q < layout.quads; ++q)
      std::memcpy(to + (q * kPanelColumns + c) * 4, &flip, sizeof flip);
  std::memcpy(to + layout.quads * 4 * kPanelColumns, scales, sizeof scales);
}

void pack_q80(const perdure_node& node, const void* params, uint32_t flip, void* packed) {
  const auto& p = *static_cast<const MatMulParams*>(params);
  const perdure_tensor& w = node.inputs[1].tensor;
  const Q80Source source = {static_cast<const char*>(w.data), static_cast<const char*>(w.scales),
                            p.n, w.row_stride_bytes, p.group};
  const Q80Layout layout = q80_layout(p.k, p.group);
  char* to = static_cast<char*>(packed);
  for (int64_t panel = 0; panel < q80_panels(p.n); ++panel)
    for (int64_t g = 0; g < layout.n_groups; ++g, to += layout.group_bytes)
      pack_group(source, layout, panel * kPanelColumns, g, flip, to);
}

}  // namespace

size_t q80_packed_bytes(const perdure_node*, const void* params, uint32_t input) {
  if (input != 1) return 0;
  const auto& p = *static_cast<const MatMulParams*>(params);
  return static_cast<size_t>(q80_panels(p.n) * q80_layout(p.k, p.group).panel_bytes);
}

int pack_q80_signed(const perdure_node* node, const void* params, uint32_t, void* packed) {
  pack_q80(*node, params, 0, packed);
  return PERDURE_OK;
}

int pack_q80_unsigned(const perdure_node* node, const void* params, uint32_t, void* packed) {
  pack_q80(*node, params, 0x80808080u, packed);
  return PERDURE_OK;
}

size_t vector_packed_bytes(const perdure_node* node, const void*, uint32_t input) {
  return input == 0 ? 0 : static_cast<size_t>(columns(node->inputs[input])) * sizeof(float);
}

int pack_vector(const perdure_node* node, const void*, uint32_t input, void* packed) {
  const perdure_value& v = node->inputs[input];
  for (int64_t i = 0; i < columns(v); ++i)
    static_cast<float*>(packed)[i] = read_weight(v.tensor, 0, i);
  return PERDURE_OK;
}

size_t norm_packed_bytes(const perdure_node*, const void* params, uint32_t input) {
  const auto& p = *static_cast<const NormParams*>(params);
  return input == 1 && p.weighted ? static_cast<size_t>(p.n) * sizeof(float) : 0;
}

int pack_norm(const perdure_node* node, const void* params, uint32_t input, void* packed) {
  const auto& p = *static_cast<const NormParams*>(params);
  for (int64_t i = 0; i < p.n; ++i)
    static_cast<float*>(packed)[i] = read_weight(node->inputs[input].tensor, 0, i);
  return PERDURE_OK;
}

}  // namespace perdure::simd
