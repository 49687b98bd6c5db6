// SPDX-License-Identifier: Apache-2.0

// The processes that share a comparison, as mpirun starts them. Rank 0 plans, hands out and writes;
// the others ask for work. MPI is known to ranks_mpi.cpp only; a build without it has
// ranks_alone.cpp in its place.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace perdure::app {

class Ranks {
 public:
  struct Message {
    int rank = 0;
    std::string text;
  };

  // Leaves the others: all ranks of a run must come to this.
  virtual ~Ranks() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  // The next message from anyone, if there is one: never waits.
  virtual std::optional<Message> receive() = 0;
  // Errors: Error.
  virtual void send(int rank, const std::string& text) = 0;
};

// Joins the other processes of this mpirun; a process alone is rank 0 of 1. Errors: UsageError if
// mpirun started several and this program was built without MPI.
std::unique_ptr<Ranks> join_ranks();
// Rank 0 of 1.
std::unique_ptr<Ranks> make_alone();

// Before joining, by what mpirun wrote into the environment: 0 in a process alone.
int expected_rank();

// Threads for an engine of one of the processes on this machine: its share of the processors, at
// most those that it may run on. 0, which is what the configuration says, in a process alone.
int64_t threads_per_rank();

// Whether what this process writes to a standard file (1 or 2) is shown on a terminal. mpirun
// stands in between: then it is asked where its own goes.
bool reaches_terminal(int file);

// Whether a variable of the environment was set by mpirun.
bool is_of_mpirun(const std::string& variable);

}  // namespace perdure::app
