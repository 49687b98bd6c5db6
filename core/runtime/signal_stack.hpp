// SPDX-License-Identifier: Apache-2.0

// Room for a signal handler where a thread's own stack has overflowed.
#pragma once

namespace perdure {

// Takes memory for the stacks of n threads, so that give_signal_stack() takes none in them; what
// threads that ended have left counts. Thread-safe.
void reserve_signal_stacks(int n) noexcept;

// Gives the calling thread a stack for signal handlers (sigaltstack) until it ends, unless it has
// one or there is no memory. Installs no handler. Cheap after a thread's first call.
void give_signal_stack() noexcept;

}  // namespace perdure
