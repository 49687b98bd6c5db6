// SPDX-License-Identifier: Apache-2.0

// A C++ plugin of another compiler. Its constructor tells whether its code was run.
#include <cstdlib>

#include "core/api/plugin.h"

namespace {
const int ran = setenv("PERDURE_TEST_RAN", "1", 1);
}

PERDURE_PLUGIN(threads, wrong_build_id, "Other-1.0-libother-0000", 0) { return &ran; }
