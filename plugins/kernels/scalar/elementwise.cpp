// SPDX-License-Identifier: Apache-2.0

// Operations on each element of a row: sums, products, activations, products with numbers of the
// row, and with one vector for all rows.
#include <algorithm>
#include <array>
#include <cmath>

#include "plugins/kernels/common/weights.hpp"
#include "plugins/kernels/scalar/scalar.hpp"

namespace perdure::scalar {
namespace {

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }
float silu(float x) { return x * sigmoid(x); }
float tanh_of(float x) { return std::tanh(x); }
float exp_of(float x) { return std::exp(x); }
float relu_square(float x) { return x < 0.0f ? 0.0f : x * x; }

float gelu(float x) {
  constexpr float kInverseRoot2 = 0.70710678f;
  return 0.5f * x * (1.0f + std::erf(x * kInverseRoot2));
}

float gelu_tanh(float x) {
  constexpr float kRoot2OverPi = 0.79788456f;
  return 0.5f * x * (1.0f + std::tanh(kRoot2OverPi * (x + 0.044715f * x * x * x)));
}

float add(float a, float b) { return a + b; }
float mul(float a, float b) { return a * b; }
float silu_mul(float a, float b) { return silu(a) * b; }

template <float (*kFunction)(float)>
int run_unary(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t n = static_cast<const ElementwiseParams*>(call->params)->n;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = row_of<float>(call->inputs[0], r);
    float* y = row_of<float>(call->outputs[0], r);
    for (int64_t i = 0; i < n; ++i) y[i] = kFunction(x[i]);
  }
  return PERDURE_OK;
}

template <float (*kFunction)(float, float)>
int run_binary(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t n = static_cast<const ElementwiseParams*>(call->params)->n;
  for (int64_t r = begin; r < end; ++r) {
    const float* a = row_of<float>(call->inputs[0], r);
    const float* b = row_of<float>(call->inputs[1], r);
    float* y = row_of<float>(call->outputs[0], r);
    for (int64_t i = 0; i < n; ++i) y[i] = kFunction(a[i], b[i]);
  }
  return PERDURE_OK;
}

// With the same vector in every row.
template <float (*kFunction)(float, float)>
int run_vector(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t n = static_cast<const ElementwiseParams*>(call->params)->n;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = row_of<float>(call->inputs[0], r);
    float* y = row_of<float>(call->outputs[0], r);
    for (int64_t i = 0; i < n; ++i)
      y[i] = kFunction(x[i], read_weight(call->inputs[1].tensor, 0, i));
  }
  return PERDURE_OK;
}

int run_scale_rows(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const ScaleParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = row_of<float>(call->inputs[0], r);
    const float* scales = row_of<float>(call->inputs[1], r);
    float* y = row_of<float>(call->outputs[0], r);
    for (int64_t i = 0; i < p.elements.n; ++i) y[i] = x[i] * scales[i / p.group];
  }
  return PERDURE_OK;
}

// Turns the pairs of one head.
void rotate_head(const float* x, const float* angles, const Rotation& rotation, float* y) {
  const int64_t n_pairs = rotation.rotary / 2;
  for (int64_t pair = 0; pair < n_pairs; ++pair) {
    const int64_t a = rotation.halves ? pair : 2 * pair;
    const int64_t b = rotation.halves ? pair + n_pairs : 2 * pair + 1;
    const float cosine = angles[2 * pair], sine = angles[2 * pair + 1];
    const float x0 = x[a], x1 = x[b];
    y[a] = x0 * cosine - x1 * sine;
    y[b] = x0 * sine + x1 * cosine;
  }
  std::copy(x + rotation.rotary, x + rotation.head_size, y + rotation.rotary);
}

int run_rope(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const RopeParams*>(call->params);
  for (int64_t r = begin; r < end; ++r)
    for (int64_t first = 0; first < p.n; first += p.rotation.head_size)
      rotate_head(row_of<float>(call->inputs[0], r) + first, row_of<float>(call->inputs[1], r),
                  p.rotation, row_of<float>(call->outputs[0], r) + first);
  return PERDURE_OK;
}

template <float (*kFunction)(float)>
constexpr perdure_kernel unary(const char* name, const char* op) {
  return operation_kernel<ElementwiseParams>(name, op, prepare_unary, divide_rows,
                                             run_unary<kFunction>);
}

template <float (*kFunction)(float, float)>
constexpr perdure_kernel binary(const char* name, const char* op) {
  return operation_kernel<ElementwiseParams>(name, op, prepare_binary, divide_rows,
                                             run_binary<kFunction>);
}

template <float (*kFunction)(float, float)>
constexpr perdure_kernel vector(const char* name, const char* op) {
  return operation_kernel<ElementwiseParams>(name, op, prepare_vector, divide_rows,
                                             run_vector<kFunction>);
}

constexpr std::array kKernels = {
    binary<add>("add_f32_scalar", "add"),
    binary<mul>("mul_f32_scalar", "mul"),
    binary<silu_mul>("silu_mul_f32_scalar", "silu_mul"),
    unary<sigmoid>("sigmoid_f32_scalar", "sigmoid"),
    unary<silu>("silu_f32_scalar", "silu"),
    unary<tanh_of>("tanh_f32_scalar", "tanh"),
    unary<exp_of>("exp_f32_scalar", "exp"),
    unary<gelu>("gelu_f32_scalar", "gelu"),
    unary<gelu_tanh>("gelu_tanh_f32_scalar", "gelu_tanh"),
    unary<relu_square>("relu_square_f32_scalar", "relu_square"),
    vector<add>("add_row_f32_scalar", "add_row"),
    vector<mul>("mul_row_f32_scalar", "mul_row"),
    operation_kernel<ScaleParams>("scale_rows_f32_scalar", "scale_rows", prepare_scale_rows,
                                  divide_rows, run_scale_rows),
    operation_kernel<RopeParams>("rope_f32_scalar", "rope", prepare_rope, divide_rows, run_rope),
};

}  // namespace

std::span<const perdure_kernel> elementwise_kernels() { return kKernels; }

}  // namespace perdure::scalar
