// SPDX-License-Identifier: Apache-2.0

// Root-mean-square norm of a row or of groups of its columns. The sum of squares runs in four
// vectors that take turns.
#include "plugins/kernels/simd/isa/runs.hpp"
#include "plugins/kernels/simd/isa/vector.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using namespace kernels;

inline float sum_of_squares(const float* x, int64_t count) {
  Batch sums[4] = {Batch(0.0f), Batch(0.0f), Batch(0.0f), Batch(0.0f)};
  int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes)
    for (int64_t s = 0; s < 4; ++s) {
      const Batch v = load(x + i + s * kLanes);
      sums[s] = fma(v, v, sums[s]);
    }
  for_each_vector(count - i, [&](int64_t j, int64_t n) {
    const Batch v = load(x + i + j, n);
    sums[0] = fma(v, v, sums[0]);
  });
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

}  // namespace

// The weight is packed: F32 whatever the model stores.
void run_rms_norm(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const NormParams*>(call->params);
  const float* weight = p.weighted ? static_cast<const float*>(call->packed[1]) : nullptr;
  for (int64_t r = begin; r < end; ++r) {
    for (int64_t first = 0; first < p.n; first += p.group) {
      const float* x = row_of<float>(call->inputs[0], r) + first;
      float* y = row_of<float>(call->outputs[0], r) + first;
      const float mean = sum_of_squares(x, p.group) / static_cast<float>(p.group);
      const Batch scale(1.0f / __builtin_sqrtf(mean + p.eps));
      for_each_vector(p.group, [&](int64_t i, int64_t n) {
        const Batch v = scale * load(x + i, n);
        store(y + i, weight ? load(weight + first + i, n) * v : v, n);
      });
    }
  }
}

}  // namespace perdure::simd::PERDURE_ISA
