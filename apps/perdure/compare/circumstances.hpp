// SPDX-License-Identifier: Apache-2.0

// What figures of the machine depend on beside the configuration: the machine, and libraries that
// are no part of this program.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/engine/engine.hpp"
#include "core/eval/results.hpp"

namespace perdure::app {

// The CPU's model, its instruction sets and how many processors this process may run on: the same
// text means the same machine to a figure. Any thread.
std::string machine_text();

// The machine and its load now. `threads`: of the engine. Any thread.
Circumstances circumstances_now(int64_t threads);

// The libraries from files that an engine's numbers may depend on: strategies, kernels of its plan
// and threads, as "attention.mine libmine.so HASH", sorted. The hash of a file is taken once per
// process. Errors: Error naming a file that cannot be read.
std::vector<std::string> foreign_libraries(const Engine& engine);

// While it lives a process of mpirun, and whatever it starts, may run on every processor there is:
// mpirun binds its processes to one core each, which a measurement of the machine must not inherit.
class WholeMachine {
 public:
  WholeMachine();
  ~WholeMachine();
  WholeMachine(const WholeMachine&) = delete;
  WholeMachine& operator=(const WholeMachine&) = delete;

 private:
  struct Mask;
  std::unique_ptr<Mask> before_;
};

}  // namespace perdure::app
