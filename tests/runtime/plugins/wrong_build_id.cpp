// SPDX-License-Identifier: Apache-2.0

// A C++ plugin of another compiler. Its constructor tells whether its code was run.
#include <cstdlib>

#include "core/api/plugin.h"

namespace {
const int ran = setenv("PERDURE_TEST_RAN", "1", 1);
}

#undef PERDURE_BUILD_ID_threads
#define PERDURE_BUILD_ID_threads "other-1 abi-1 libother-1 threads-0000"

PERDURE_PLUGIN(threads, wrong_build_id, 0) { return &ran; }
