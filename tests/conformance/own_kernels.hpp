// SPDX-License-Identifier: Apache-2.0

// The kernels of this tree that this CPU can run.
#pragma once

#include "tests/support/kernel_suite.hpp"

extern "C" const void* perdure_entry_kernels_simd(void);

namespace perdure::test {

// Those of an operation, the definition first; at least one.
inline std::vector<const perdure_kernel*> own_kernels(const std::string& op) {
  std::vector<const perdure_kernel*> found;
  for (const void* entry : {perdure_entry_kernels_scalar(), perdure_entry_kernels_simd()}) {
    const auto& plugin = *static_cast<const perdure_kernel_plugin*>(entry);
    for (uint32_t i = 0; i < plugin.n_kernels; ++i)
      if (op == plugin.kernels[i].op && runs_here(plugin.kernels[i]))
        found.push_back(&plugin.kernels[i]);
  }
  REQUIRE(!found.empty());
  return found;
}

}  // namespace perdure::test
