// SPDX-License-Identifier: Apache-2.0

// A kernel plugin in C11 as it should be.
#include "tests/runtime/plugins/one_kernel.h"

static const perdure_kernel kernels[] = {ONE_KERNEL("test_op_f32_scalar", "test_op")};
static const perdure_kernel_plugin plugin = {sizeof plugin, PERDURE_KERNEL_ABI, 1, kernels};

PERDURE_PLUGIN(kernels, good, 0) { return &plugin; }
