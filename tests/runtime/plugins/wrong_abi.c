// SPDX-License-Identifier: Apache-2.0

// A plugin of the next plugin ABI. Its constructor tells whether its code was run.
#include <stdlib.h>

#include "tests/runtime/plugins/one_kernel.h"

#undef PERDURE_PLUGIN_ABI
#define PERDURE_PLUGIN_ABI 2u

__attribute__((constructor)) static void leave_a_trace(void) { setenv("PERDURE_TEST_RAN", "1", 1); }

PERDURE_PLUGIN(kernels, wrong_abi, 0) { return NULL; }
