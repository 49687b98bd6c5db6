// SPDX-License-Identifier: Apache-2.0

// The plugin kernels.scalar: the reference. Every built-in operation, F32, in the orders of the
// original C programs; other kernels are measured against it. Readable before fast.
#include <vector>

#include "core/api/plugin.h"
#include "plugins/kernels/scalar/scalar.hpp"

namespace perdure::scalar {
namespace {

std::vector<perdure_kernel> all_kernels() {
  std::vector<perdure_kernel> all;
  for (const auto kernels : {norm_kernels(), quantize_kernels(), mat_mul_kernels(),
                             elementwise_kernels(), position_kernels(), range_kernels(),
                             state_kernels(), column_kernels(), block_kernels(), attend_kernels()})
    all.insert(all.end(), kernels.begin(), kernels.end());
  return all;
}

}  // namespace
}  // namespace perdure::scalar

PERDURE_PLUGIN(kernels, scalar, 0) {
  static const std::vector<perdure_kernel> kernels = perdure::scalar::all_kernels();
  static const perdure_kernel_plugin plugin = {sizeof(perdure_kernel_plugin), PERDURE_KERNEL_ABI,
                                               static_cast<uint32_t>(kernels.size()),
                                               kernels.data()};
  return &plugin;
}
