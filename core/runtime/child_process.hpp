// SPDX-License-Identifier: Apache-2.0

// Runs foreign code in a forked copy of this process, to learn whether it ends the process or never
// returns. Forking needs no helper program to be installed beside whatever embeds the library, and
// the child sees what the parent would see. It has the forking thread only: the C library resets
// the loader's and the heap's locks in the child; should another lock be held by a thread that is
// not there, the time limit ends the child.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace perdure {

// What became of `function` in the child: empty if it returned or threw within the limit, otherwise
// the rest of a sentence, such as "ended the process by signal 6 (Aborted)". Empty as well if there
// can be no child. The child has no terminal, prints nothing, leaves no core file and takes what it
// started with it; exit handlers of this process do not run in it. Thread safety: any thread.
std::string outcome_in_child(const std::function<void()>& function,
                             std::chrono::milliseconds limit);

}  // namespace perdure
