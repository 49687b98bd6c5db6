// SPDX-License-Identifier: Apache-2.0

// Ctrl-C as a question instead of an end: from catch_interrupts() on it only sets a mark, which the
// loops of the program look at. System calls return EINTR.
#pragma once

namespace perdure::app {

void catch_interrupts();
bool interrupted();
void clear_interrupt();

// Waits until `file` can be read (or is at its end): true. False if Ctrl-C came, also just before.
bool wait_for_input(int file);

}  // namespace perdure::app
