// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/child_process.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>

using namespace perdure;
using namespace std::chrono_literals;

TEST_CASE("a child that returns or throws comes to nothing") {
  int here = 0;
  CHECK(outcome_in_child([&] { here = 1; }, 5s).empty());
  CHECK(here == 0);
  CHECK(outcome_in_child([] { throw 7; }, 5s).empty());
}

TEST_CASE("a child that ends its process is distinguished from one that returns") {
  CHECK(outcome_in_child([] { kill(getpid(), SIGBUS); }, 5s).find("signal 7") != std::string::npos);
  CHECK(outcome_in_child([] { std::exit(0); }, 5s) == "ended the process with exit status 0");
  CHECK(outcome_in_child([] { std::quick_exit(4); }, 5s) == "ended the process with exit status 4");
}

TEST_CASE("a child that never returns is ended, with what it has started") {
  int lifeline[2];
  REQUIRE(pipe(lifeline) == 0);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(outcome_in_child(
            [&] {
              if (fork() == 0)
                for (;;) pause();
              for (;;) {
              }
            },
            200ms) == "did not come to an end within 200 ms");
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  close(lifeline[1]);
  char byte;
  CHECK(read(lifeline[0], &byte, 1) == 0);  // nobody holds the other end
  close(lifeline[0]);
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("exit handlers of this process do not run in the child") {
  static int handler_pipe[2];
  REQUIRE(pipe(handler_pipe) == 0);
  static bool armed = true;
  std::atexit([] {
    if (armed) static_cast<void>(!write(handler_pipe[1], "x", 1));
  });
  outcome_in_child([] { std::exit(0); }, 5s);
  armed = false;
  close(handler_pipe[1]);
  char byte;
  CHECK(read(handler_pipe[0], &byte, 1) == 0);
  close(handler_pipe[0]);
}

TEST_CASE("children can be had while other threads allocate") {
  std::atomic<bool> stop = false;
  std::thread busy([&] {
    while (!stop) delete[] new char[1000];
  });
  for (int i = 0; i < 50; ++i) CHECK(outcome_in_child([] { delete[] new char[100]; }, 5s).empty());
  stop = true;
  busy.join();
}
