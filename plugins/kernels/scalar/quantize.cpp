// SPDX-License-Identifier: Apache-2.0

// Activations to int8 in groups, rounded half away from zero as llama2.c's runq does.
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "plugins/kernels/scalar/scalar.hpp"

namespace perdure::scalar {
namespace {

void quantize_group(const float* x, int64_t n, int8_t* q, float* scale) {
  float largest = 0.0f, zero = 0.0f;
  for (int64_t i = 0; i < n; ++i) {
    if (std::fabs(x[i]) > largest) largest = std::fabs(x[i]);
    zero += x[i] * 0.0f;
  }
  if (zero != 0.0f) {  // NaN: some value is no number, and no int8 can say so
    *scale = std::numeric_limits<float>::quiet_NaN();
    std::memset(q, 0, n);
    return;
  }
  *scale = largest / 127.0f;
  // A group of zeros, or of numbers so small that the scale underflows.
  if (*scale == 0.0f) {
    std::memset(q, 0, n);
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    const float rounded = std::round(x[i] / *scale);
    q[i] = static_cast<int8_t>(rounded > -127.0f ? (rounded < 127.0f ? rounded : 127.0f) : -127.0f);
  }
}

int run(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const QuantizeParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = row_of<float>(call->inputs[0], r);
    int8_t* q = row_of<int8_t>(call->outputs[0], r);
    float* scales = scales_of(call->outputs[0], r);
    for (int64_t g = 0; g < p.n_groups; ++g)
      quantize_group(x + g * p.group, p.group, q + g * p.group, scales + g);
  }
  return PERDURE_OK;
}

constexpr std::array kKernels = {operation_kernel<QuantizeParams>(
    "quantize_f32_scalar", "quantize", prepare_quantize, divide_rows, run)};

}  // namespace

std::span<const perdure_kernel> quantize_kernels() { return kKernels; }

}  // namespace perdure::scalar
