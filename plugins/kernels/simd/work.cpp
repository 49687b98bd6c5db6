// SPDX-License-Identifier: Apache-2.0

// How the work of a node divides, and the scratch it needs.
#include <algorithm>

#include "plugins/kernels/simd/isa/block_layout.hpp"
#include "plugins/kernels/simd/isa/table.hpp"
#include "plugins/kernels/simd/simd.hpp"

namespace perdure::simd {
namespace {

// A range of fewer multiply-adds, or elements, costs more to hand out than to compute.
constexpr int64_t kSmallestProduct = 16384;
constexpr int64_t kSmallestElements = 2048;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

void divide_elements(const perdure_call* call, perdure_work* work) {
  const auto& p = *static_cast<const ElementwiseParams*>(call->params);
  *work = {count_rows(p.rows, *call->step),
           divide_up(kSmallestElements, std::max<int64_t>(p.n, 1))};
}

void divide_mat_mul(const perdure_call* call, perdure_work* work) {
  const auto& p = *static_cast<const MatMulParams*>(call->params);
  // Two panels of packed weights.
  constexpr int64_t kColumns = 2 * kPanelColumns;
  const int64_t columns = divide_up(kSmallestProduct, std::max<int64_t>(p.k, 1));
  *work = {p.n, divide_up(columns, kColumns) * kColumns};
}

size_t dequantised_scratch(const perdure_node*, const void* params) {
  return static_cast<size_t>(kDequantisedRows * static_cast<const MatMulParams*>(params)->k) *
         sizeof(float);
}

size_t q80_scratch(const perdure_node*, const void* params) {
  const auto& p = *static_cast<const MatMulParams*>(params);
  return static_cast<size_t>(q80_scratch_bytes(q80_layout(p.k, p.group)));
}

size_t block_scratch(const perdure_node* node, const void* params) {
  const int64_t values = perdure_block_values(node->inputs[1].tensor.dtype);
  return static_cast<size_t>(
      block_scratch_bytes(static_cast<const MatMulParams*>(params)->k, values));
}

void divide_attend(const perdure_call* call, perdure_work* work) {
  const auto& p = *static_cast<const AttendParams*>(call->params);
  const perdure_step* step = call->step;
  // Rows of one session that share a range share the reading of its keys.
  const int64_t rows_per_session = step->n_rows / std::max<int64_t>(step->n_sessions, 1);
  *work = {step->n_rows * (p.n_heads / p.heads_per_kv),
           std::clamp<int64_t>(rows_per_session, 1, kRowsPerTile)};
}

int prepare_attend_ranges(const perdure_node* node, void* params) {
  const int status = prepare_attend(node, params);
  const auto& p = *static_cast<const AttendParams*>(params);
  for (int64_t r = 0; status == PERDURE_OK && r < p.n_ranges; ++r)
    if (p.ranges[r].list != 0) return PERDURE_DECLINED;
  return status;
}

size_t attend_scratch(const perdure_node*, const void* params) {
  const auto& p = *static_cast<const AttendParams*>(params);
  return static_cast<size_t>(
             attend_scratch_layout(p.head_size, p.value_size, p.heads_per_kv).size) *
         sizeof(float);
}

}  // namespace perdure::simd
