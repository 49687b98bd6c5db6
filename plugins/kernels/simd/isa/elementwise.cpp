// SPDX-License-Identifier: Apache-2.0

// Sums and products of the elements of rows, and the rotation of pairs of columns.
#include "plugins/kernels/simd/isa/rotation.hpp"
#include "plugins/kernels/simd/isa/runs.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using namespace kernels;

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

// The second factor is a vector of the model, packed: F32 whatever the model stores.
template <typename Function>
inline void combine_with_vector(const perdure_call* call, int64_t begin, int64_t end,
                                Function function) {
  const int64_t n_columns = static_cast<const ElementwiseParams*>(call->params)->n;
  const float* vector = static_cast<const float*>(call->packed[1]);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = row_of<float>(call->inputs[0], r);
    float* y = row_of<float>(call->outputs[0], r);
    for_each_vector(n_columns, [&](int64_t i, int64_t n) {
      store(y + i, function(load(x + i, n), load(vector + i, n)), n);
    });
  }
}

}  // namespace

int run_add(const perdure_call* call, int64_t begin, int64_t end, void*) {
  combine_rows(call, begin, end, [](Batch a, Batch b) { return a + b; });
  return PERDURE_OK;
}

int run_mul(const perdure_call* call, int64_t begin, int64_t end, void*) {
  combine_rows(call, begin, end, [](Batch a, Batch b) { return a * b; });
  return PERDURE_OK;
}

int run_silu_mul(const perdure_call* call, int64_t begin, int64_t end, void*) {
  combine_rows(call, begin, end, [](Batch a, Batch b) { return a * sigmoid(a) * b; });
  return PERDURE_OK;
}

int run_add_row(const perdure_call* call, int64_t begin, int64_t end, void*) {
  combine_with_vector(call, begin, end, [](Batch a, Batch b) { return a + b; });
  return PERDURE_OK;
}

int run_mul_row(const perdure_call* call, int64_t begin, int64_t end, void*) {
  combine_with_vector(call, begin, end, [](Batch a, Batch b) { return a * b; });
  return PERDURE_OK;
}

int run_scale_rows(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const ScaleParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const float* scales = row_of<float>(call->inputs[1], r);
    for (int64_t first = 0; first < p.elements.n; first += p.group) {
      const float* x = row_of<float>(call->inputs[0], r) + first;
      float* y = row_of<float>(call->outputs[0], r) + first;
      const Batch scale(scales[first / p.group]);
      for_each_vector(p.group,
                      [&](int64_t i, int64_t n) { store(y + i, load(x + i, n) * scale, n); });
    }
  }
  return PERDURE_OK;
}

int run_rope(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const RopeParams*>(call->params);
  for (int64_t r = begin; r < end; ++r)
    for (int64_t first = 0; first < p.n; first += p.rotation.head_size)
      rotate_head(row_of<float>(call->inputs[0], r) + first, row_of<float>(call->inputs[1], r),
                  p.rotation, row_of<float>(call->outputs[0], r) + first);
  return PERDURE_OK;
}

}  // namespace perdure::simd::PERDURE_ISA
