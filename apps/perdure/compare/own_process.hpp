// SPDX-License-Identifier: Apache-2.0

// This program again, as a process of its own: what it measures of itself is then not mixed with
// what ran before.
#pragma once

#include <string>
#include <vector>

namespace perdure::app {

struct ProcessEnd {
  int status = 0;         // exit status; 128 + signal if it was ended by one
  std::string complaint;  // what it wrote to standard error, without the program's name
};

// Runs this program with `words` and waits for it; Ctrl-C is passed on. Its standard output is
// dropped, and it knows nothing of mpirun: it may run on every processor there is. Errors: Error if
// it cannot be started.
ProcessEnd run_own_process(const std::vector<std::string>& words);

}  // namespace perdure::app
