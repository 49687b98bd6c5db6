// SPDX-License-Identifier: Apache-2.0

// y = x W^T, the definition: every element is a dot product summed left to right. With quantised
// activations the order is that of llama2.c's runq: an exact integer sum per group, scaled and
// added group by group.
#include <array>

#include "plugins/kernels/scalar/weights.hpp"

namespace perdure::scalar {
namespace {

struct MatMulParams {
  RowParams rows;
  int64_t n;  // rows of the weight, columns of the result
  int64_t k;  // columns of both factors
};

bool fits(const perdure_node& node, perdure_dtype x_type, perdure_dtype w_type) {
  return node.n_inputs == 2 && node.n_outputs == 1 && is_rows(node.inputs[0], x_type) &&
         is_constant(node.inputs[1], w_type) && is_rows(node.outputs[0], PERDURE_F32) &&
         columns(node.inputs[0]) == columns(node.inputs[1]);
}

int fill_params(const perdure_node& node, void* params) {
  *static_cast<MatMulParams*>(params) = {
      {in_outputs(node.outputs[0])}, rows(node.inputs[1]), columns(node.inputs[1])};
  return PERDURE_OK;
}

// Items are the columns of the result: each weight row is read once, for all rows of the step.
void divide(const void* params, const perdure_step*, perdure_work* work) {
  *work = {static_cast<const MatMulParams*>(params)->n, 16};
}

template <typename Read>
int prepare(const perdure_node* node, void* params) {
  if (!fits(*node, PERDURE_F32, Read::kType)) return PERDURE_DECLINED;
  return fill_params(*node, params);
}

template <typename Read>
void run(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const MatMulParams*>(call->params);
  const perdure_tensor& w = call->inputs[1].tensor;
  const int64_t n_rows = count_rows(p.rows, *call->step);
  for (int64_t column = begin; column < end; ++column) {
    for (int64_t r = 0; r < n_rows; ++r) {
      const float* x = row_of<float>(call->inputs[0], r);
      float sum = 0.0f;
      for (int64_t i = 0; i < p.k; ++i) sum += x[i] * Read::at(w, column * p.k + i);
      row_of<float>(call->outputs[0], r)[column] = sum;
    }
  }
}

int prepare_q80(const perdure_node* node, void* params) {
  if (!fits(*node, PERDURE_Q80, PERDURE_Q80)) return PERDURE_DECLINED;
  const int64_t group = node->inputs[1].tensor.group_size;
  if (node->inputs[0].tensor.group_size != group || columns(node->inputs[1]) % group != 0)
    return PERDURE_DECLINED;
  return fill_params(*node, params);
}

float dot_q80(const int8_t* x, const float* x_scales, const int8_t* w, const char* w_scales,
              int64_t n_groups, int64_t group) {
  float sum = 0.0f;
  for (int64_t g = 0; g < n_groups; ++g) {
    int32_t exact = 0;
    for (int64_t i = g * group; i < (g + 1) * group; ++i) exact += int32_t{x[i]} * int32_t{w[i]};
    sum += (static_cast<float>(exact) * load_f32(w_scales, g)) * x_scales[g];
  }
  return sum;
}

void run_q80(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const MatMulParams*>(call->params);
  const perdure_tensor& w = call->inputs[1].tensor;
  const int64_t n_rows = count_rows(p.rows, *call->step);
  const int64_t n_groups = p.k / w.group_size;
  for (int64_t column = begin; column < end; ++column) {
    const int8_t* weights = static_cast<const int8_t*>(w.data) + column * p.k;
    const char* scales = static_cast<const char*>(w.scales) + column * n_groups * sizeof(float);
    for (int64_t r = 0; r < n_rows; ++r)
      row_of<float>(call->outputs[0], r)[column] =
          dot_q80(row_of<int8_t>(call->inputs[0], r), scales_of(call->inputs[0], r), weights,
                  scales, n_groups, w.group_size);
  }
}

template <typename Read>
constexpr perdure_kernel mat_mul_kernel(const char* name) {
  return make_kernel<MatMulParams>(name, "mat_mul", prepare<Read>, divide, run<Read>);
}

constexpr std::array kKernels = {
    mat_mul_kernel<ReadF32>("mat_mul_f32_scalar"),
    mat_mul_kernel<ReadF16>("mat_mul_f16_scalar"),
    mat_mul_kernel<ReadBf16>("mat_mul_bf16_scalar"),
    mat_mul_kernel<ReadQ80>("mat_mul_f32_q80_scalar"),
    make_kernel<MatMulParams>("mat_mul_q80_scalar", "mat_mul", prepare_q80, divide, run_q80),
};

}  // namespace

std::span<const perdure_kernel> mat_mul_kernels() { return kKernels; }

}  // namespace perdure::scalar
