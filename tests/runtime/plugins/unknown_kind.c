// SPDX-License-Identifier: Apache-2.0

// A plugin of a kind that does not exist.
#include "core/api/plugin.h"

#define PERDURE_BUILD_ID_samplers ""

PERDURE_PLUGIN(samplers, unknown_kind, 0) { return (const void*)0; }
