// SPDX-License-Identifier: Apache-2.0

// What this machine can do at best on one thread, measured beside the kernels.
#pragma once

namespace perdure::bench {

// Registers "limit/...": bytes read per second from caches and from memory, F32 and int8 operations
// per second.
void add_limits();

}  // namespace perdure::bench
