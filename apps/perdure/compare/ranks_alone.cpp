// SPDX-License-Identifier: Apache-2.0

// A build without MPI.
#include <cstdlib>

#include "apps/perdure/compare/ranks.hpp"
#include "core/api/error.hpp"

namespace perdure::app {
std::unique_ptr<Ranks> join_ranks() {
  const char* size = std::getenv("OMPI_COMM_WORLD_SIZE");
  if (size != nullptr && std::string(size) != "1")
    throw UsageError(
        "this program was built without MPI and cannot share its work over processes; start it "
        "without mpirun, or build it again with libboost-mpi1.81-dev and libopenmpi-dev installed");
  return make_alone();
}

}  // namespace perdure::app
