// SPDX-License-Identifier: Apache-2.0

// Norms and softmax of a row or of groups of its columns, every sum left to right. The
// root-mean-square norm is that of llama2.c: w * (s * x).
#include <algorithm>
#include <array>
#include <cmath>

#include "plugins/kernels/common/weights.hpp"
#include "plugins/kernels/scalar/scalar.hpp"

namespace perdure::scalar {
namespace {

float inverse_rms(const float* x, int64_t n, float eps) {
  float sum = 0.0f;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return 1.0f / std::sqrt(sum / static_cast<float>(n) + eps);
}

int run_rms_norm(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const NormParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = row_of<float>(call->inputs[0], r);
    float* y = row_of<float>(call->outputs[0], r);
    for (int64_t first = 0; first < p.n; first += p.group) {
      const float scale = inverse_rms(x + first, p.group, p.eps);
      for (int64_t i = first; i < first + p.group; ++i) {
        y[i] = scale * x[i];
        if (p.weighted) y[i] = read_weight(call->inputs[1].tensor, 0, i) * y[i];
      }
    }
  }
  return PERDURE_OK;
}

// y = (x - mean) / sqrt(variance + eps) for one group.
void normalise(const float* x, int64_t n, float eps, float* y) {
  float sum = 0.0f, squares = 0.0f;
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(n);
  for (int64_t i = 0; i < n; ++i) {
    y[i] = x[i] - mean;
    squares += y[i] * y[i];
  }
  const float scale = 1.0f / std::sqrt(squares / static_cast<float>(n) + eps);
  for (int64_t i = 0; i < n; ++i) y[i] *= scale;
}

int run_group_norm(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const GroupNormParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = row_of<float>(call->inputs[0], r);
    float* y = row_of<float>(call->outputs[0], r);
    for (int64_t first = 0; first < p.n; first += p.group)
      normalise(x + first, p.group, p.eps, y + first);
    for (int64_t i = 0; i < p.n; ++i) {
      if (p.weight != 0) y[i] *= read_weight(call->inputs[p.weight].tensor, 0, i);
      if (p.bias != 0) y[i] += read_weight(call->inputs[p.bias].tensor, 0, i);
    }
  }
  return PERDURE_OK;
}

void softmax(const float* x, int64_t n, float* y) {
  float largest = -INFINITY, sum = 0.0f;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, x[i]);
  if (largest == -INFINITY) {  // nothing to weigh; NaN stays visible
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] == -INFINITY ? 0.0f : x[i];
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    y[i] = std::exp(x[i] - largest);
    sum += y[i];
  }
  for (int64_t i = 0; i < n; ++i) y[i] /= sum;
}

int run_softmax(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const NormParams*>(call->params);
  for (int64_t r = begin; r < end; ++r)
    for (int64_t first = 0; first < p.n; first += p.group)
      softmax(row_of<float>(call->inputs[0], r) + first, p.group,
              row_of<float>(call->outputs[0], r) + first);
  return PERDURE_OK;
}

constexpr std::array kKernels = {
    operation_kernel<NormParams>("rms_norm_f32_scalar", "rms_norm", prepare_norm, divide_rows,
                                 run_rms_norm),
    operation_kernel<GroupNormParams>("group_norm_f32_scalar", "group_norm", prepare_group_norm,
                                      divide_rows, run_group_norm),
    operation_kernel<NormParams>("softmax_f32_scalar", "softmax", prepare_softmax, divide_rows,
                                 run_softmax),
};

}  // namespace

std::span<const perdure_kernel> norm_kernels() { return kKernels; }

}  // namespace perdure::scalar
