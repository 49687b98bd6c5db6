// SPDX-License-Identifier: Apache-2.0

// The parts of the plugin kernels.scalar, one function per file.
#pragma once

#include <span>

#include "plugins/kernels/common/prepare.hpp"

namespace perdure::scalar {

using namespace kernels;

std::span<const perdure_kernel> elementwise_kernels();
std::span<const perdure_kernel> mat_mul_kernels();
std::span<const perdure_kernel> norm_kernels();
std::span<const perdure_kernel> quantize_kernels();

}  // namespace perdure::scalar
