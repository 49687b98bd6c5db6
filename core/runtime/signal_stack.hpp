// SPDX-License-Identifier: Apache-2.0

// Room for a signal handler where a thread's own stack has overflowed.
#pragma once

namespace perdure {

// Gives the calling thread a stack for signal handlers (sigaltstack) until it ends, unless it has
// one or there is no memory. Installs no handler. Cheap after a thread's first call.
void give_signal_stack() noexcept;

}  // namespace perdure
