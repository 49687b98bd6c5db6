// SPDX-License-Identifier: Apache-2.0

// Two kernels of the same name.
#include "tests/runtime/plugins/one_kernel.h"

static const perdure_kernel kernels[] = {ONE_KERNEL("test_op_f32_scalar", "test_op"),
                                         ONE_KERNEL("test_op_f32_scalar", "test_op")};
static const perdure_kernel_plugin plugin = {sizeof plugin, PERDURE_KERNEL_ABI, 2, kernels};

PERDURE_PLUGIN(kernels, duplicate_names, 0) { return &plugin; }
