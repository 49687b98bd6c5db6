// SPDX-License-Identifier: Apache-2.0

// A kernel that does not say which operation it serves.
#include "tests/runtime/plugins/one_kernel.h"

static const perdure_kernel kernels[] = {ONE_KERNEL("test_op_f32_scalar", "")};
static const perdure_kernel_plugin plugin = {sizeof plugin, PERDURE_KERNEL_ABI, 1, kernels};

PERDURE_PLUGIN(kernels, empty_op, 0) { return &plugin; }
