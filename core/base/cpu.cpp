// SPDX-License-Identifier: Apache-2.0

// CPU features by the compiler's own detection, which also checks that the OS saves the registers.
#include "core/base/cpu.hpp"

#include "core/api/types.h"

namespace perdure {
namespace {

struct Feature {
  uint64_t bit;
  const char* name;
};

constexpr Feature kFeatures[] = {
    {PERDURE_CPU_AVX2, "avx2"},
    {PERDURE_CPU_FMA, "fma"},
    {PERDURE_CPU_F16C, "f16c"},
    {PERDURE_CPU_AVX512, "avx512"},
    {PERDURE_CPU_AVX512_VNNI, "avx512vnni"},
    {PERDURE_CPU_AVX512_BF16, "avx512bf16"},
};

uint64_t detect() {
  uint64_t bits = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) bits |= PERDURE_CPU_AVX2;
  if (__builtin_cpu_supports("fma")) bits |= PERDURE_CPU_FMA;
  if (__builtin_cpu_supports("f16c")) bits |= PERDURE_CPU_F16C;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl")) {
    bits |= PERDURE_CPU_AVX512;
    if (__builtin_cpu_supports("avx512vnni")) bits |= PERDURE_CPU_AVX512_VNNI;
    if (__builtin_cpu_supports("avx512bf16")) bits |= PERDURE_CPU_AVX512_BF16;
  }
#endif
  return bits;
}

}  // namespace

uint64_t cpu_features() {
  static const uint64_t bits = detect();
  return bits;
}

std::string cpu_feature_names(uint64_t bits) {
  std::string names;
  for (const Feature& feature : kFeatures) {
    if ((bits & feature.bit) == 0) continue;
    if (!names.empty()) names += ", ";
    names += feature.name;
  }
  return names;
}

}  // namespace perdure
