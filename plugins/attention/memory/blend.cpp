// SPDX-License-Identifier: Apache-2.0

// `memory_blend`: its shape rule and its scalar kernel.
#include "plugins/attention/memory/blend.hpp"

#include "sdk/kernel.hpp"

namespace perdure {
namespace {

struct BlendParams {
  int64_t columns;
  int64_t every;
  int64_t mem_len;
  float old_weight;
  float new_weight;
};

int prepare(const perdure_node* node, void* params) {
  if (node->n_inputs != 3 || node->inputs[0].tensor.dtype != PERDURE_F32) return PERDURE_DECLINED;
  const double weight = perdure_attribute_real(node, "weight", 0.0);
  *static_cast<BlendParams*>(params) = {
      node->inputs[0].tensor.shape[1], perdure_attribute_int(node, "every", 1),
      perdure_attribute_int(node, "mem_len", 1), static_cast<float>(weight),
      static_cast<float>(1.0 - weight)};
  return PERDURE_OK;
}

void blend_row(const BlendParams& p, const perdure_call& call, int64_t row) {
  const float* x = kernels::row_of<float>(call.inputs[0], row);
  const int64_t index = *kernels::row_of<int64_t>(call.inputs[2], row);
  float* persistent = kernels::state_row(kernels::state_at(call, row, call.inputs[1]), index);
  float* y = kernels::row_of<float>(call.outputs[0], row);
  const int64_t position = call.step->rows[row].position;
  const int64_t segment_end = position - position % p.mem_len + p.mem_len;
  const bool blends = segment_end % p.every == 0;
  for (int64_t c = 0; c < p.columns; ++c) {
    if (blends) persistent[c] = p.old_weight * persistent[c] + p.new_weight * x[c];
    y[c] = blends ? persistent[c] : x[c];
  }
}

constexpr const char* kAttributes[] = {"weight", "every", "mem_len", nullptr};

constexpr perdure_kernel kKernels[] = {kernels::make_row_kernel<BlendParams, blend_row>(
    "memory_blend_f32_scalar", "memory_blend", prepare, kAttributes)};

std::vector<ValueType> result(const std::vector<ValueType>& in, const Attributes&) {
  const bool fits = in.size() == 3 && in[0].kind == ValueKind::kRows &&
                    in[0].dtype == PERDURE_F32 && in[1].kind == ValueKind::kState &&
                    in[1].columns == in[0].columns && in[2].kind == ValueKind::kRows &&
                    in[2].dtype == PERDURE_I64;
  if (!fits)
    throw Error("[memory_blend] needs x [rows, n], a state with n columns and an index [rows, 1]");
  return {in[0]};
}

}  // namespace

Value memory_blend(GraphBuilder& g, Value x, Value persistent, Value index, double weight,
                   int64_t every, int64_t mem_len) {
  return g.apply("memory_blend", {x, persistent, index},
                 {{"weight", weight}, {"every", every}, {"mem_len", mem_len}});
}

Operation memory_blend_operation() {
  return {.name = "memory_blend", .kind = OperationKind::kRowWise, .result = result, .writes = {1}};
}

std::span<const perdure_kernel> memory_blend_kernels() { return kKernels; }

}  // namespace perdure
