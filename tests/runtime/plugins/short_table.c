// SPDX-License-Identifier: Apache-2.0

// A kernel table whose structure is shorter than ours.
#include "tests/runtime/plugins/one_kernel.h"

static const perdure_kernel_plugin plugin = {8, PERDURE_KERNEL_ABI, 0, NULL};

PERDURE_PLUGIN(kernels, short_table, 0) { return &plugin; }
