// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/interrupt.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace perdure::app {
namespace {

volatile std::sig_atomic_t g_interrupt = 0;  // SIGINT came
volatile std::sig_atomic_t g_ending = 0;     // the first of the others that came
std::atomic_flag g_bus_error_is_reported;    // always lock-free, so a handler may use it

constexpr std::array kEndingSignals = {SIGTERM, SIGHUP,  SIGQUIT, SIGALRM,
                                       SIGXCPU, SIGUSR1, SIGUSR2};

// Wakes wait_for_input: the handler may run in any thread, and a signal mask would have to be set
// in those of libraries too.
int wake_up() {
  static const int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return event;
}

extern "C" void on_signal(int number) {
  const int error = errno;
  if (number == SIGINT)
    g_interrupt = 1;
  else if (g_ending == 0)
    g_ending = number;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t told = ::write(wake_up(), &one, sizeof one);
  errno = error;
}

// Every thread that reads the file faults, often at the same moment: one of them speaks, and the
// others wait for the end that it brings.
extern "C" void on_bus_error(int, siginfo_t* info, void*) {
  if (info->si_code == BUS_ADRERR) {
    while (g_bus_error_is_reported.test_and_set()) ::pause();
    constexpr std::string_view kSentence =
        "\nperdure: a file that is mapped into memory was cut short while it was read (the model, "
        "most likely); put the whole file back and start again, saved sessions are unchanged\n";
    [[maybe_unused]] const ssize_t told =
        ::write(STDERR_FILENO, kSentence.data(), kSentence.size());
    ::_exit(1);
  }
  std::signal(SIGBUS, SIG_DFL);  // the fault happens again, and ends the program
}

void catch_signal(int number) {
  struct sigaction action = {};
  if (sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) return;
  action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // no SA_RESTART: a read() that waits for the user must return
  sigaction(number, &action, nullptr);
}

int pending_signal() { return g_ending != 0 ? g_ending : g_interrupt != 0 ? SIGINT : 0; }

}  // namespace

void ignore_write_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

void explain_bus_errors() {
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

void catch_interrupts() {
  wake_up();  // not first in the handler
  catch_signal(SIGINT);
}

void catch_ending_signals() {
  catch_interrupts();
  for (const int number : kEndingSignals) catch_signal(number);
}

bool interrupted() { return pending_signal() != 0; }

void clear_interrupt() { g_interrupt = 0; }

bool must_end() { return g_ending != 0; }

std::string interrupt_name() {
  const int number = pending_signal();
  if (number == 0) return "";
  return number == SIGINT ? "Ctrl-C" : std::string("SIG") + sigabbrev_np(number);
}

void end_as_signalled() {
  const int number = pending_signal();
  if (number == 0) return;
  std::signal(number, SIG_DFL);
  std::raise(number);
}

bool wait_for_input(int file) {
  while (!interrupted()) {
    std::array<pollfd, 2> ready{pollfd{file, POLLIN, 0}, pollfd{wake_up(), POLLIN, 0}};
    if (poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) break;
    if (ready[0].revents != 0) break;
    uint64_t count = 0;  // what woke this up may have been dealt with before
    if (ready[1].revents != 0 && ::read(wake_up(), &count, sizeof count) < 0) continue;
  }
  return !interrupted();
}

}  // namespace perdure::app
