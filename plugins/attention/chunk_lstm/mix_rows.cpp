// SPDX-License-Identifier: Apache-2.0

// `mix_rows`: its shape rule and its scalar kernel.
#include "plugins/attention/chunk_lstm/mix_rows.hpp"

#include <algorithm>
#include <cstring>

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

void divide(const void*, const perdure_step* step, perdure_work* work) {
  *work = {step->n_rows, 1};
}

template <typename T>
T* row_of(const perdure_value& value, int64_t row) {
  return reinterpret_cast<T*>(static_cast<char*>(value.tensor.data) +
                              row * value.tensor.row_stride_bytes);
}

void run(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t n = static_cast<const MixParams*>(call->params)->columns;
  for (int64_t i = begin; i < end; ++i) {
    const perdure_session& session = call->step->sessions[call->step->rows[i].session];
    const perdure_state_view& view = session.states[call->inputs[0].state];
    const int64_t r = *row_of<int64_t>(call->inputs[2], i);
    const char* mix = row_of<char>(call->inputs[1], r);
    float* y = row_of<float>(call->outputs[0], i);
    std::fill(y, y + n, 0.0f);
    for (int64_t s = 0; s <= r; ++s) {
      float weight;  // weights of a mapped file may be unaligned
      std::memcpy(&weight, mix + s * static_cast<int64_t>(sizeof weight), sizeof weight);
      const auto* u = reinterpret_cast<const float*>(perdure_state_row(&view, s));
      for (int64_t c = 0; c < n; ++c) y[c] += weight * u[c];
    }
  }
}

constexpr perdure_kernel mix_kernel() {
  perdure_kernel kernel{};
  kernel.struct_size = sizeof(perdure_kernel);
  kernel.name = "mix_rows_f32_scalar";
  kernel.op = "mix_rows";
  kernel.isa = "scalar";
  kernel.params_bytes = sizeof(MixParams);
  kernel.prepare = prepare;
  kernel.divide = divide;
  kernel.run = run;
  return kernel;
}

constexpr perdure_kernel kKernels[] = {mix_kernel()};

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
