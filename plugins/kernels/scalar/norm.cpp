// SPDX-License-Identifier: Apache-2.0

// Root-mean-square norm of a row or of groups of its columns, in the order of llama2.c: the sum
// left to right, then w * (s * x).
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

void run(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const NormParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = row_of<float>(call->inputs[0], r);
    float* y = row_of<float>(call->outputs[0], r);
    for (int64_t first = 0; first < p.n; first += p.group) {
      const float scale = inverse_rms(x + first, p.group, p.eps);
      for (int64_t i = first; i < first + p.group; ++i) {
        y[i] = scale * x[i];
        if (p.weighted) y[i] = read_weight(call->inputs[1].tensor, i) * y[i];
      }
    }
  }
}

constexpr std::array kKernels = {
    make_kernel<NormParams>("rms_norm_f32_scalar", "rms_norm", prepare_norm, divide_rows, run)};

}  // namespace

std::span<const perdure_kernel> norm_kernels() { return kKernels; }

}  // namespace perdure::scalar
