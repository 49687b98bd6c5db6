// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/interrupt.hpp"

#include <poll.h>

#include <cerrno>
#include <csignal>

namespace perdure::app {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

extern "C" void on_interrupt(int) { g_interrupted = 1; }

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // no SA_RESTART: a read() that waits for the user must return
  sigaction(SIGINT, &action, nullptr);
}

bool interrupted() { return g_interrupted != 0; }

void clear_interrupt() { g_interrupted = 0; }

bool wait_for_input(int file) {
  // The signal is let in by ppoll only: one between the question and the waiting cannot be missed.
  sigset_t interrupt, before;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  sigprocmask(SIG_BLOCK, &interrupt, &before);
  pollfd ready{file, POLLIN, 0};
  while (!interrupted() && ppoll(&ready, 1, nullptr, &before) < 0 && errno == EINTR) {
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return !interrupted();
}

}  // namespace perdure::app
