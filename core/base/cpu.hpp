// SPDX-License-Identifier: Apache-2.0

// What this CPU, under this operating system, can run.
#pragma once

#include <cstdint>
#include <string>

namespace perdure {

// Bits of enum perdure_cpu_feature that may be used here (the OS saves the registers). Computed
// once; any thread.
uint64_t cpu_features();

// Names of the features in `bits`, comma separated: "avx2, fma". Empty for 0.
std::string cpu_feature_names(uint64_t bits);

}  // namespace perdure
