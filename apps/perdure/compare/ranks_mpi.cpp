// SPDX-License-Identifier: Apache-2.0

// Ranks over Boost.MPI. A program that mpirun has not started does not touch MPI at all: its start
// takes longer than a small comparison.
#include <boost/mpi/communicator.hpp>
#include <boost/mpi/environment.hpp>
#include <boost/mpi/exception.hpp>
#include <boost/mpi/status.hpp>
#include <cstdlib>

#include "apps/perdure/compare/ranks.hpp"
#include "core/api/error.hpp"

namespace perdure::app {
namespace {

namespace mpi = boost::mpi;

constexpr int kTag = 1;

class World final : public Ranks {
 public:
  int rank() const override { return world_.rank(); }
  int size() const override { return world_.size(); }

  std::optional<Message> receive() override {
    const auto status = world_.iprobe(mpi::any_source, kTag);
    if (!status) return std::nullopt;
    Message message{.rank = status->source()};
    world_.recv(message.rank, kTag, message.text);
    return message;
  }

  void send(int rank, const std::string& text) override {
    try {
      world_.send(rank, kTag, text);
    } catch (const mpi::exception& error) {
      throw Error(std::string("cannot reach another process of this run: ") + error.what());
    }
  }

 private:
  mpi::environment environment_{false};  // an exception ends in main, not in MPI_Abort
  mpi::communicator world_;
};

}  // namespace

std::unique_ptr<Ranks> join_ranks() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const char* size = std::getenv(name); size != nullptr && std::string(size) != "1")
      return std::make_unique<World>();
  return make_alone();
}

}  // namespace perdure::app
