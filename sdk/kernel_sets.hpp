// SPDX-License-Identifier: Apache-2.0

// Lists of kernels of a plugin that computes the same operations for several instruction sets.
// Included by baseline code only.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "core/api/kernel.h"

namespace perdure::kernels {

inline constexpr uint64_t kAvx2Features = PERDURE_CPU_AVX2 | PERDURE_CPU_FMA | PERDURE_CPU_F16C;
inline constexpr uint64_t kAvx512Features = kAvx2Features | PERDURE_CPU_AVX512;
inline constexpr uint64_t kAvx512VnniFeatures = kAvx512Features | PERDURE_CPU_AVX512_VNNI;

// The kernels of one instruction set, whose names are still those of their operations.
struct KernelSet {
  const char* isa;
  uint64_t cpu_features;
  int32_t rank;  // the higher is taken first
  std::vector<perdure_kernel> kernels;
};

// All of them, each with the set's `isa`, features and rank and named "OPERATION_f32_ISA"; the
// names live for ever. One thread at a time.
inline std::vector<perdure_kernel> kernels_of_sets(std::span<const KernelSet> sets) {
  static std::deque<std::string> names;
  std::vector<perdure_kernel> all;
  for (const KernelSet& set : sets)
    for (perdure_kernel k : set.kernels) {
      k.name = names.emplace_back(std::string(k.op) + "_f32_" + set.isa).c_str();
      k.isa = set.isa;
      k.cpu_features = set.cpu_features;
      k.rank = set.rank;
      all.push_back(k);
    }
  return all;
}

}  // namespace perdure::kernels
