// SPDX-License-Identifier: Apache-2.0

// Needs a CPU feature that no machine has. Its constructor tells whether its code was run.
#include <stdlib.h>

#include "tests/runtime/plugins/one_kernel.h"

__attribute__((constructor)) static void leave_a_trace(void) { setenv("PERDURE_TEST_RAN", "1", 1); }

PERDURE_PLUGIN(kernels, needs_feature, 1ull << 63) { return NULL; }
