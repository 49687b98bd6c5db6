// SPDX-License-Identifier: Apache-2.0

// A plugin of a kind that does not exist.
#include "core/api/plugin.h"

PERDURE_PLUGIN(samplers, unknown_kind, "", 0) { return (const void*)0; }
