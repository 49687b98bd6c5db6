// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/interrupt.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barrier>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kThreads = 4;
constexpr size_t kBytes = 1 << 16;

struct Ended {
  int status = 0;
  std::string told;
};

// Threads that read a mapped file at the moment at which it has been cut. Never returns.
[[noreturn]] void read_what_was_cut() {
  perdure::app::explain_bus_errors();
  std::FILE* file = std::tmpfile();
  const int descriptor = ::fileno(file);
  if (::ftruncate(descriptor, kBytes) != 0) ::_exit(2);
  const auto* bytes = static_cast<const volatile char*>(
      ::mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, descriptor, 0));
  if (::ftruncate(descriptor, 0) != 0) ::_exit(2);
  std::barrier together(kThreads);
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      together.arrive_and_wait();
      (void)bytes[static_cast<size_t>(thread) * 4096];
    });
  threads.clear();
  ::_exit(3);
}

Ended end_of_a_reader() {
  int ends[2] = {};
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    read_what_was_cut();
  }
  ::close(ends[1]);
  Ended ended;
  char buffer[512];
  for (ssize_t count = 0; (count = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    ended.told.append(buffer, static_cast<size_t>(count));
  ::close(ends[0]);
  ::waitpid(child, &ended.status, 0);
  return ended;
}

}  // namespace

TEST_CASE("threads that read a cut file at the same moment say so once") {
  const Ended first = end_of_a_reader();
  CHECK(first.told.find("was cut short while it was read") != std::string::npos);
  for (int run = 0; run < 50; ++run) {
    const Ended ended = end_of_a_reader();
    CAPTURE(ended.told);
    REQUIRE(WIFEXITED(ended.status));
    REQUIRE(WEXITSTATUS(ended.status) == 1);
    REQUIRE(ended.told == first.told);
  }
  CHECK(first.told.rfind("perdure: ") == first.told.find("perdure: "));
}
