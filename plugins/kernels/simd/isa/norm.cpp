// SPDX-License-Identifier: Apache-2.0

// Norms and softmax of a row or of groups of its columns. Sums run in four vectors that take turns.
#include "plugins/kernels/simd/isa/runs.hpp"
#include "plugins/kernels/simd/isa/vector.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using namespace kernels;

constexpr float kLowest = -__builtin_inff();

// next(sum, i, n) adds the elements i .. i + n - 1 to a vector of sums.
template <typename Next>
inline float sum_in_turns(int64_t count, Next next) {
  Batch sums[4] = {Batch(0.0f), Batch(0.0f), Batch(0.0f), Batch(0.0f)};
  int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes)
    for (int64_t s = 0; s < 4; ++s) sums[s] = next(sums[s], i + s * kLanes, kLanes);
  for_each_vector(count - i, [&](int64_t j, int64_t n) { sums[0] = next(sums[0], i + j, n); });
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

inline float sum_of(const float* x, int64_t count) {
  return sum_in_turns(count, [&](Batch sum, int64_t i, int64_t n) { return sum + load(x + i, n); });
}

inline float sum_of_squares(const float* x, int64_t count) {
  return sum_in_turns(count, [&](Batch sum, int64_t i, int64_t n) {
    const Batch v = load(x + i, n);
    return fma(v, v, sum);
  });
}

// y = (x - mean) / sqrt(variance + eps) for one group, times `weight` and plus `bias` if there are
// any.
inline void normalise(const float* x, int64_t count, float eps, const float* weight,
                      const float* bias, float* y) {
  const Batch mean(sum_of(x, count) / static_cast<float>(count));
  for_each_vector(count, [&](int64_t i, int64_t n) { store(y + i, load(x + i, n) - mean, n); });
  const float variance = sum_of_squares(y, count) / static_cast<float>(count);
  const Batch scale(1.0f / __builtin_sqrtf(variance + eps));
  for_each_vector(count, [&](int64_t i, int64_t n) {
    Batch v = scale * load(y + i, n);
    if (weight != nullptr) v = load(weight + i, n) * v;
    if (bias != nullptr) v = v + load(bias + i, n);
    store(y + i, v, n);
  });
}

// Lanes behind the end stand for -infinity: they neither win nor add anything.
inline Batch load_score(const float* x, int64_t n) {
  return n == kLanes ? load(x) : load_partial(x, n, Batch(kLowest));
}

inline void softmax(const float* x, int64_t count, float* y) {
  Batch top(kLowest);
  for_each_vector(count,
                  [&](int64_t i, int64_t n) { top = xsimd::max(load_score(x + i, n), top); });
  const float winner = largest(top);
  if (winner == kLowest) {  // nothing to weigh; NaN stays visible
    for (int64_t i = 0; i < count; ++i) y[i] = x[i] == kLowest ? 0.0f : x[i];
    return;
  }
  const float total = sum_in_turns(count, [&](Batch sum, int64_t i, int64_t n) {
    const Batch e = exponential(load_score(x + i, n) - Batch(winner));
    store(y + i, e, n);
    return sum + e;
  });
  for_each_vector(count,
                  [&](int64_t i, int64_t n) { store(y + i, load(y + i, n) / Batch(total), n); });
}

}  // namespace

// The weight is packed: F32 whatever the model stores.
int run_rms_norm(const perdure_call* call, int64_t begin, int64_t end, void*) {
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
  return PERDURE_OK;
}

// Weight and bias are packed.
int run_group_norm(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const GroupNormParams*>(call->params);
  const auto vector_at = [&](uint32_t input, int64_t first) {
    return input == 0 ? nullptr : static_cast<const float*>(call->packed[input]) + first;
  };
  for (int64_t r = begin; r < end; ++r)
    for (int64_t first = 0; first < p.n; first += p.group)
      normalise(row_of<float>(call->inputs[0], r) + first, p.group, p.eps,
                vector_at(p.weight, first), vector_at(p.bias, first),
                row_of<float>(call->outputs[0], r) + first);
  return PERDURE_OK;
}

int run_softmax(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const NormParams*>(call->params);
  for (int64_t r = begin; r < end; ++r)
    for (int64_t first = 0; first < p.n; first += p.group)
      softmax(row_of<float>(call->inputs[0], r) + first, p.group,
              row_of<float>(call->outputs[0], r) + first);
  return PERDURE_OK;
}

}  // namespace perdure::simd::PERDURE_ISA
