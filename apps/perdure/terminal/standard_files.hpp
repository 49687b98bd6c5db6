// SPDX-License-Identifier: Apache-2.0

// Standard streams that were closed before the program started.
#pragma once

namespace perdure::app {

// Gives the descriptors 0, 1 and 2, where they are closed, to files on which reading and writing
// fail. Otherwise the next file that is opened, a model or a session, would be read as standard
// input or written to as standard output. To be called before anything is opened.
void occupy_closed_streams();

}  // namespace perdure::app
