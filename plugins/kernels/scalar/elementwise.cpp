// SPDX-License-Identifier: Apache-2.0

// Operations on each element of a row: sums, products, activations, scaling by a number of the row,
// and the choice of the rows that asked for logits.
#include <array>
#include <cmath>

#include "plugins/kernels/scalar/node.hpp"

namespace perdure::scalar {
namespace {

struct ElementwiseParams {
  RowParams rows;
  int64_t n;
};

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }
float silu(float x) { return x * sigmoid(x); }
float tanh_of(float x) { return std::tanh(x); }
float add(float a, float b) { return a + b; }
float mul(float a, float b) { return a * b; }
float silu_mul(float a, float b) { return silu(a) * b; }

template <uint32_t kInputs>
int prepare(const perdure_node* node, void* params) {
  if (node->n_inputs != kInputs || node->n_outputs != 1 || !is_rows(node->outputs[0], PERDURE_F32))
    return PERDURE_DECLINED;
  const int64_t n = columns(node->outputs[0]);
  for (uint32_t i = 0; i < kInputs; ++i)
    if (!is_rows(node->inputs[i], PERDURE_F32) || columns(node->inputs[i]) != n)
      return PERDURE_DECLINED;
  *static_cast<ElementwiseParams*>(params) = {{in_outputs(node->outputs[0])}, n};
  return PERDURE_OK;
}

template <float (*kFunction)(float)>
void run_unary(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t n = static_cast<const ElementwiseParams*>(call->params)->n;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = row_of<float>(call->inputs[0], r);
    float* y = row_of<float>(call->outputs[0], r);
    for (int64_t i = 0; i < n; ++i) y[i] = kFunction(x[i]);
  }
}

template <float (*kFunction)(float, float)>
void run_binary(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t n = static_cast<const ElementwiseParams*>(call->params)->n;
  for (int64_t r = begin; r < end; ++r) {
    const float* a = row_of<float>(call->inputs[0], r);
    const float* b = row_of<float>(call->inputs[1], r);
    float* y = row_of<float>(call->outputs[0], r);
    for (int64_t i = 0; i < n; ++i) y[i] = kFunction(a[i], b[i]);
  }
}

int prepare_scale_rows(const perdure_node* node, void* params) {
  if (node->n_inputs != 2 || node->n_outputs != 1 || !is_rows(node->inputs[0], PERDURE_F32) ||
      !is_rows(node->inputs[1], PERDURE_F32) || columns(node->inputs[1]) != 1)
    return PERDURE_DECLINED;
  *static_cast<ElementwiseParams*>(params) = {{in_outputs(node->outputs[0])},
                                              columns(node->outputs[0])};
  return PERDURE_OK;
}

void run_scale_rows(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t n = static_cast<const ElementwiseParams*>(call->params)->n;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = row_of<float>(call->inputs[0], r);
    const float scale = *row_of<float>(call->inputs[1], r);
    float* y = row_of<float>(call->outputs[0], r);
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] * scale;
  }
}

int prepare_select(const perdure_node* node, void* params) {
  if (node->n_inputs != 1 || node->n_outputs != 1 || !is_rows(node->inputs[0], PERDURE_F32) ||
      !in_outputs(node->outputs[0]) || columns(node->inputs[0]) != columns(node->outputs[0]))
    return PERDURE_DECLINED;
  *static_cast<ElementwiseParams*>(params) = {{true}, columns(node->outputs[0])};
  return PERDURE_OK;
}

void run_select(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t n = static_cast<const ElementwiseParams*>(call->params)->n;
  for (int64_t r = begin; r < end; ++r)
    std::memcpy(row_of<float>(call->outputs[0], r),
                row_of<float>(call->inputs[0], call->step->output_rows[r]), n * sizeof(float));
}

template <float (*kFunction)(float)>
constexpr perdure_kernel unary(const char* name, const char* op) {
  return make_kernel<ElementwiseParams>(name, op, prepare<1>, divide_rows, run_unary<kFunction>);
}

template <float (*kFunction)(float, float)>
constexpr perdure_kernel binary(const char* name, const char* op) {
  return make_kernel<ElementwiseParams>(name, op, prepare<2>, divide_rows, run_binary<kFunction>);
}

constexpr std::array kKernels = {
    binary<add>("add_f32_scalar", "add"),
    binary<mul>("mul_f32_scalar", "mul"),
    binary<silu_mul>("silu_mul_f32_scalar", "silu_mul"),
    unary<sigmoid>("sigmoid_f32_scalar", "sigmoid"),
    unary<silu>("silu_f32_scalar", "silu"),
    unary<tanh_of>("tanh_f32_scalar", "tanh"),
    make_kernel<ElementwiseParams>("scale_rows_f32_scalar", "scale_rows", prepare_scale_rows,
                                   divide_rows, run_scale_rows),
    make_kernel<ElementwiseParams>("select_outputs_f32_scalar", "select_outputs", prepare_select,
                                   divide_rows, run_select),
};

}  // namespace

std::span<const perdure_kernel> elementwise_kernels() { return kKernels; }

}  // namespace perdure::scalar
