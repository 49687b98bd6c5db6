// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/crash.hpp"

#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include "core/runtime/plugin_guard.hpp"

namespace perdure::app {
namespace {

struct Crash {
  int signal;
  std::string_view text;
  struct sigaction before;  // whose turn it is after the sentence
};

std::array<Crash, 4> g_crashes{{{SIGSEGV, "crashed (SIGSEGV)", {}},
                                {SIGFPE, "crashed (SIGFPE)", {}},
                                {SIGILL, "crashed (SIGILL)", {}},
                                {SIGABRT, "gave up (SIGABRT)", {}}}};

// Async-signal-safe: the texts exist already, and writev allocates nothing.
void tell(const PluginCall& call, std::string_view what_happened) {
  const auto piece = [](std::string_view text) {
    return iovec{const_cast<char*>(text.data()), text.size()};
  };
  const iovec sentence[] = {piece("\nperdure: "),
                            piece(call.plugin()),
                            piece(" "),
                            piece(what_happened),
                            piece(" in "),
                            piece(call.what()),
                            piece("; remove it from the configuration, or ask its author\n")};
  [[maybe_unused]] const ssize_t told = ::writev(STDERR_FILENO, sentence, std::size(sentence));
}

extern "C" void on_crash(int number, siginfo_t* info, void*) {
  for (const Crash& crash : g_crashes) {
    if (crash.signal != number) continue;
    if (const PluginCall* call = PluginCall::current()) tell(*call, crash.text);
    sigaction(number, &crash.before, nullptr);
  }
  // A fault happens again when this returns; a signal that was sent has to be sent again.
  if (info->si_code <= 0) std::raise(number);
}

// Runs after the destructors of plugins, whose libraries were loaded later: a call that still lasts
// is the one that called exit().
void on_exit() {
  const PluginCall* call = PluginCall::current();
  if (call == nullptr) return;
  tell(*call, "ended the program");
  ::_exit(1);
}

// Of the main thread; a team's workers get theirs from give_signal_stack(). A stack that has
// overflowed has no room for a handler.
void use_stack_of_its_own() {
  alignas(16) static std::array<char, size_t{1} << 16> stack;
  stack_t alternate = {};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  sigaltstack(&alternate, nullptr);
}

}  // namespace

void explain_crashes() {
  use_stack_of_its_own();
  for (Crash& crash : g_crashes) {
    struct sigaction action = {};
    action.sa_sigaction = on_crash;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(crash.signal, &action, &crash.before);
  }
  std::atexit(on_exit);
}

}  // namespace perdure::app
