// SPDX-License-Identifier: Apache-2.0

// What mpirun says in the environment. Open MPI's words, and those of PMI for the others.
#include "apps/perdure/compare/ranks.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <thread>

namespace perdure::app {
namespace {

class Alone final : public Ranks {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::optional<Message> receive() override { return std::nullopt; }
  void send(int, const std::string&) override {}
};

int number_in_environment(const std::array<const char*, 2>& names, int otherwise) {
  for (const char* name : names)
    if (const char* value = std::getenv(name)) return std::atoi(value);
  return otherwise;
}

int processors_allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace

std::unique_ptr<Ranks> make_alone() { return std::make_unique<Alone>(); }

int expected_rank() { return number_in_environment({"OMPI_COMM_WORLD_RANK", "PMI_RANK"}, 0); }

int64_t threads_per_rank() {
  const int local = number_in_environment({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"}, 0);
  if (local == 0) return 0;
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, std::min(processors / local, processors_allowed()));
}

bool reaches_terminal(int file) {
  if (std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr) return isatty(file) != 0;
  const std::string of_mpirun =
      "/proc/" + std::to_string(getppid()) + "/fd/" + std::to_string(file);
  const int opened = open(of_mpirun.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (opened < 0) return false;
  const bool terminal = isatty(opened) != 0;
  close(opened);
  return terminal;
}

bool is_of_mpirun(const std::string& variable) {
  static constexpr std::array kPrefixes = {"OMPI_", "PMIX_", "PMI_", "PRTE_"};
  return std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [&](const char* prefix) { return variable.starts_with(prefix); });
}

}  // namespace perdure::app
