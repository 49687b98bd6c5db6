// SPDX-License-Identifier: Apache-2.0

// `mix_rows`: its shape rule and its scalar kernel.
#include "plugins/attention/chunk_lstm/mix_rows.hpp"

#include <algorithm>

#include "sdk/kernel.hpp"

namespace perdure {
namespace {

struct MixParams {
  int64_t columns;
};

int prepare(const perdure_node* node, void* params) {
  if (node->n_inputs != 3 || node->n_outputs != 1 || node->inputs[1].tensor.dtype != PERDURE_F32)
    return PERDURE_DECLINED;
  *static_cast<MixParams*>(params) = {node->outputs[0].tensor.shape[1]};
  return PERDURE_OK;
}

// Weights of a mapped file may be unaligned.
void mix_row(const MixParams& p, const perdure_call& call, int64_t row) {
  const perdure_state_view& state = kernels::state_at(call, row, call.inputs[0]);
  const int64_t r = *kernels::row_of<int64_t>(call.inputs[2], row);
  const void* mix = kernels::row_of<void>(call.inputs[1], r);
  float* y = kernels::row_of<float>(call.outputs[0], row);
  std::fill(y, y + p.columns, 0.0f);
  for (int64_t s = 0; s <= r; ++s) {
    const float weight = kernels::load_f32(mix, s);
    const float* u = kernels::state_row(state, s);
    for (int64_t c = 0; c < p.columns; ++c) y[c] += weight * u[c];
  }
}

constexpr perdure_kernel kKernels[] = {
    kernels::make_row_kernel<MixParams, mix_row>("mix_rows_f32_scalar", "mix_rows", prepare)};

std::vector<ValueType> result(const std::vector<ValueType>& in, const Attributes&) {
  const bool fits = in.size() == 3 && in[0].kind == ValueKind::kState &&
                    in[1].kind == ValueKind::kConstant && in[1].rows == in[0].rows &&
                    in[1].columns == in[0].rows && in[2].kind == ValueKind::kRows &&
                    in[2].dtype == PERDURE_I64;
  if (!fits) throw Error("[mix_rows] needs a state [m, d], a weight [m, m] and an index [rows, 1]");
  return {{.kind = ValueKind::kRows, .dtype = PERDURE_F32, .rows = 0, .columns = in[0].columns}};
}

}  // namespace

Value mix_rows(GraphBuilder& g, Value rows_state, Value mix, Value index) {
  return g.apply("mix_rows", {rows_state, mix, index});
}

Operation mix_rows_operation() {
  return {.name = "mix_rows", .kind = OperationKind::kPerSession, .result = result};
}

std::span<const perdure_kernel> mix_rows_kernels() { return kKernels; }

}  // namespace perdure
