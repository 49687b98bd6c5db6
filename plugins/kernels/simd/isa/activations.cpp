// SPDX-License-Identifier: Apache-2.0

// Functions of each element of a row.
#include "plugins/kernels/simd/isa/functions.hpp"
#include "plugins/kernels/simd/isa/runs.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using namespace kernels;

template <typename Function>
inline void map_rows(const perdure_call* call, int64_t begin, int64_t end, Function function) {
  const int64_t n_columns = static_cast<const ElementwiseParams*>(call->params)->n;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = row_of<float>(call->inputs[0], r);
    float* y = row_of<float>(call->outputs[0], r);
    for_each_vector(n_columns,
                    [&](int64_t i, int64_t n) { store(y + i, function(load(x + i, n)), n); });
  }
}

}  // namespace

int run_sigmoid(const perdure_call* call, int64_t begin, int64_t end, void*) {
  map_rows(call, begin, end, [](Batch x) { return sigmoid(x); });
  return PERDURE_OK;
}

int run_silu(const perdure_call* call, int64_t begin, int64_t end, void*) {
  map_rows(call, begin, end, [](Batch x) { return x * sigmoid(x); });
  return PERDURE_OK;
}

int run_tanh(const perdure_call* call, int64_t begin, int64_t end, void*) {
  map_rows(call, begin, end, [](Batch x) { return hyperbolic_tangent(x); });
  return PERDURE_OK;
}

int run_exp(const perdure_call* call, int64_t begin, int64_t end, void*) {
  map_rows(call, begin, end, [](Batch x) { return exponential(x); });
  return PERDURE_OK;
}

int run_gelu(const perdure_call* call, int64_t begin, int64_t end, void*) {
  map_rows(call, begin, end, [](Batch x) {
    return Batch(0.5f) * x * (Batch(1.0f) + error_function(x * Batch(0.70710678f)));
  });
  return PERDURE_OK;
}

int run_gelu_tanh(const perdure_call* call, int64_t begin, int64_t end, void*) {
  map_rows(call, begin, end, [](Batch x) {
    const Batch inner = Batch(0.79788456f) * (x + Batch(0.044715f) * x * x * x);
    return Batch(0.5f) * x * (Batch(1.0f) + hyperbolic_tangent(inner));
  });
  return PERDURE_OK;
}

int run_relu_square(const perdure_call* call, int64_t begin, int64_t end, void*) {
  map_rows(call, begin, end, [](Batch x) {
    const Batch positive = xsimd::max(Batch(0.0f), x);  // NaN stays: it is the second operand
    return positive * positive;
  });
  return PERDURE_OK;
}

}  // namespace perdure::simd::PERDURE_ISA
