// SPDX-License-Identifier: Apache-2.0

// Its entry function returns NULL.
#include "core/api/plugin.h"

PERDURE_PLUGIN(kernels, returns_nothing, 0) { return (const void*)0; }
