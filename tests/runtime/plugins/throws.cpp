// SPDX-License-Identifier: Apache-2.0

// A C++ plugin whose entry function throws.
#include <stdexcept>

#include "core/api/plugin.h"

PERDURE_PLUGIN(threads, throws, 0) { throw std::runtime_error("no threads left in the shop"); }
