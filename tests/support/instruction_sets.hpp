// SPDX-License-Identifier: Apache-2.0

// The instruction sets of kernels.simd, with the processor feature that tells whether one runs
// here.
#pragma once

#include <cstdint>

#include "core/api/kernel.h"

namespace perdure::testing {

struct InstructionSet {
  const char* name;
  uint64_t feature;
};

inline constexpr InstructionSet kInstructionSets[] = {{"avx2", PERDURE_CPU_AVX2},
                                                      {"avx512", PERDURE_CPU_AVX512},
                                                      {"avx512vnni", PERDURE_CPU_AVX512_VNNI}};

}  // namespace perdure::testing
