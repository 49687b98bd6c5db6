// SPDX-License-Identifier: Apache-2.0

// A kernel plugin with the name of a good one, whose entry returns nothing.
#include "core/api/plugin.h"

PERDURE_PLUGIN(kernels, good, 0) { return (const void*)0; }
