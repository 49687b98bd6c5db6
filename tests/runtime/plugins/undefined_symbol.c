// SPDX-License-Identifier: Apache-2.0

// Uses a function that no library has.
#include "tests/runtime/plugins/one_kernel.h"

const void* perdure_test_function_of_no_library(void);

PERDURE_PLUGIN(kernels, undefined_symbol, 0) { return perdure_test_function_of_no_library(); }
