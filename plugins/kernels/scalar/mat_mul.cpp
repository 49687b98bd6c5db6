// SPDX-License-Identifier: Apache-2.0

// y = x W^T, the definition: every element is a dot product summed left to right. With quantised
// activations the order is that of llama2.c's runq: an exact integer sum per group, scaled and
// added group by group.
#include <array>

#include "plugins/kernels/common/weights.hpp"
#include "plugins/kernels/scalar/scalar.hpp"

namespace perdure::scalar {
namespace {

// Items are the columns of the result: each weight row is read once, for all rows of the step.
void divide(const perdure_call* call, perdure_work* work) {
  *work = {static_cast<const MatMulParams*>(call->params)->n, 16};
}

template <typename Read>
int run(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const MatMulParams*>(call->params);
  const perdure_tensor& w = call->inputs[1].tensor;
  const int64_t n_rows = count_rows(p.rows, *call->step);
  for (int64_t column = begin; column < end; ++column) {
    for (int64_t r = 0; r < n_rows; ++r) {
      const float* x = row_of<float>(call->inputs[0], r);
      float sum = 0.0f;
      for (int64_t i = 0; i < p.k; ++i) sum += x[i] * Read::at(w, column, i);
      row_of<float>(call->outputs[0], r)[column] = sum;
    }
  }
  return PERDURE_OK;
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

int run_q80(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const MatMulParams*>(call->params);
  const perdure_tensor& w = call->inputs[1].tensor;
  const int64_t n_rows = count_rows(p.rows, *call->step);
  const int64_t n_groups = p.k / w.group_size;
  for (int64_t column = begin; column < end; ++column) {
    const int8_t* weights = static_cast<const int8_t*>(w.data) + column * w.row_stride_bytes;
    const char* scales = static_cast<const char*>(w.scales) +
                         column * (w.row_stride_bytes / w.group_size) * sizeof(float);
    for (int64_t r = 0; r < n_rows; ++r)
      row_of<float>(call->outputs[0], r)[column] =
          dot_q80(row_of<int8_t>(call->inputs[0], r), scales_of(call->inputs[0], r), weights,
                  scales, n_groups, w.group_size);
  }
  return PERDURE_OK;
}

constexpr std::array kKernels = {
    operation_kernel<MatMulParams>("mat_mul_f32_scalar", "mat_mul", prepare_mat_mul_f32, divide,
                                   run<ReadF32>, PERDURE_ITEMS_COLUMNS),
    operation_kernel<MatMulParams>("mat_mul_f16_scalar", "mat_mul", prepare_mat_mul_f16, divide,
                                   run<ReadF16>, PERDURE_ITEMS_COLUMNS),
    operation_kernel<MatMulParams>("mat_mul_bf16_scalar", "mat_mul", prepare_mat_mul_bf16, divide,
                                   run<ReadBf16>, PERDURE_ITEMS_COLUMNS),
    operation_kernel<MatMulParams>("mat_mul_f32_q80_scalar", "mat_mul", prepare_mat_mul_f32_q80,
                                   divide, run<ReadQ80>, PERDURE_ITEMS_COLUMNS),
    operation_kernel<MatMulParams>("mat_mul_q80_scalar", "mat_mul", prepare_mat_mul_q80, divide,
                                   run_q80, PERDURE_ITEMS_COLUMNS),
};

}  // namespace

std::span<const perdure_kernel> mat_mul_kernels() { return kKernels; }

}  // namespace perdure::scalar
