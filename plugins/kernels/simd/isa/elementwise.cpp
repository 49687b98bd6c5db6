// SPDX-License-Identifier: Apache-2.0

// Operations on each element of a row, and the rotation of adjacent pairs.
#include "plugins/kernels/simd/isa/rotation.hpp"
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

template <typename Function>
inline void combine_rows(const perdure_call* call, int64_t begin, int64_t end, Function function) {
  const int64_t n_columns = static_cast<const ElementwiseParams*>(call->params)->n;
  for (int64_t r = begin; r < end; ++r) {
    const float* a = row_of<float>(call->inputs[0], r);
    const float* b = row_of<float>(call->inputs[1], r);
    float* y = row_of<float>(call->outputs[0], r);
    for_each_vector(n_columns, [&](int64_t i, int64_t n) {
      store(y + i, function(load(a + i, n), load(b + i, n)), n);
    });
  }
}

// A short odd polynomial near zero, where 1 - exp would cancel; (1 - e) / (1 + e) with e = exp(-2
// |x|) elsewhere.
inline Batch hyperbolic_tangent(Batch x) {
  const Batch magnitude = xsimd::abs(x);
  const Batch square = x * x;
  Batch p = fma(Batch(-5.70498872745e-3f), square, Batch(2.06390887954e-2f));
  p = fma(p, square, Batch(-5.37397155531e-2f));
  p = fma(p, square, Batch(1.33314422036e-1f));
  p = fma(p, square, Batch(-3.33332819422e-1f));
  const Batch near = fma(p * square, x, x);
  const Batch e = exponential(magnitude * Batch(-2.0f));
  const Batch far = (Batch(1.0f) - e) / (Batch(1.0f) + e);
  const Batch signed_far = xsimd::select(x < Batch(0.0f), -far, far);
  return xsimd::select(magnitude < Batch(0.625f), near, signed_far);
}

}  // namespace

void run_add(const perdure_call* call, int64_t begin, int64_t end, void*) {
  combine_rows(call, begin, end, [](Batch a, Batch b) { return a + b; });
}

void run_mul(const perdure_call* call, int64_t begin, int64_t end, void*) {
  combine_rows(call, begin, end, [](Batch a, Batch b) { return a * b; });
}

void run_silu_mul(const perdure_call* call, int64_t begin, int64_t end, void*) {
  combine_rows(call, begin, end, [](Batch a, Batch b) { return a * sigmoid(a) * b; });
}

void run_sigmoid(const perdure_call* call, int64_t begin, int64_t end, void*) {
  map_rows(call, begin, end, [](Batch x) { return sigmoid(x); });
}

void run_silu(const perdure_call* call, int64_t begin, int64_t end, void*) {
  map_rows(call, begin, end, [](Batch x) { return x * sigmoid(x); });
}

void run_tanh(const perdure_call* call, int64_t begin, int64_t end, void*) {
  map_rows(call, begin, end, [](Batch x) { return hyperbolic_tangent(x); });
}

void run_scale_rows(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t n_columns = static_cast<const ElementwiseParams*>(call->params)->n;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = row_of<float>(call->inputs[0], r);
    const Batch scale(*row_of<float>(call->inputs[1], r));
    float* y = row_of<float>(call->outputs[0], r);
    for_each_vector(n_columns,
                    [&](int64_t i, int64_t n) { store(y + i, load(x + i, n) * scale, n); });
  }
}

void run_rope(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const RopeParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const float* angles = row_of<float>(call->inputs[1], r);
    for (int64_t head = 0; head < p.n; head += p.head_size) {
      const float* x = row_of<float>(call->inputs[0], r) + head;
      float* y = row_of<float>(call->outputs[0], r) + head;
      for_each_vector(p.head_size, [&](int64_t i, int64_t n) {
        const Batch v = load(x + i, n), angle = load(angles + i, n);
        store(y + i, rotated(v, angle), n);
      });
    }
  }
}

}  // namespace perdure::simd::PERDURE_ISA
