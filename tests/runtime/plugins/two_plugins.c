// SPDX-License-Identifier: Apache-2.0

// Two plugins in one library.
#include "tests/runtime/plugins/one_kernel.h"

static const perdure_kernel kernels[] = {ONE_KERNEL("test_op_f32_scalar", "test_op")};
static const perdure_kernel_plugin plugin = {sizeof plugin, PERDURE_KERNEL_ABI, 1, kernels};

PERDURE_PLUGIN(kernels, first, 0) { return &plugin; }
PERDURE_PLUGIN(kernels, second, 0) { return &plugin; }
