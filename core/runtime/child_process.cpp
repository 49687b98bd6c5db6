// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "core/base/descriptor.hpp"

namespace perdure {
namespace {

using Clock = std::chrono::steady_clock;

// What the child tells, before it kills itself: by a signal, because every other way out runs
// handlers of the parent.
struct Report {
  enum class What : int32_t { kReturned, kExited };
  What what = What::kReturned;
  int32_t status = 0;
};

int report_to = -1;  // the child's end of the pipe

[[noreturn]] void end_child(Report report) {
  static_cast<void>(!write(report_to, &report, sizeof report));
  for (;;) kill(getpid(), SIGKILL);
}

// The last handler to be registered is the first to run, so none of the parent's does.
void exited(int status, void*) { end_child({Report::What::kExited, status}); }

// As a process that was just started, but silent.
void prepare_child() {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int number = 1; number < NSIG; ++number) std::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  const int nowhere = open("/dev/null", O_RDWR);
  for (const int standard : {0, 1, 2}) dup2(nowhere, standard);
  on_exit(exited, nullptr);
}

[[noreturn]] void run_child(const std::function<void()>& function, int pipe_end) {
  report_to = pipe_end;
  prepare_child();
  try {
    function();
  } catch (...) {  // the parent will meet it as well, and can tell what it says
  }
  end_child({});
}

std::string signal_text(int number) {
  return "ended the process by signal " + std::to_string(number) + " (" + strsignal(number) + ")";
}

std::string exit_text(int status) {
  return "ended the process with exit status " + std::to_string(status & 0xff);
}

// How a child ended that reported nothing. `status`: as waitpid gives it.
std::string silent_end(int status) {
  return WIFSIGNALED(status) ? signal_text(WTERMSIG(status)) : exit_text(WEXITSTATUS(status));
}

class Child {
 public:
  Child(pid_t pid, Descriptor reports) : pid_(pid), reports_(std::move(reports)) {
    setpgid(pid_, pid_);  // whoever of the two is first
  }
  ~Child() {
    kill(-pid_, SIGKILL);
    if (!ended_) wait_for_end(0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  std::string outcome(std::chrono::milliseconds limit) {
    const auto end = Clock::now() + limit;
    while (Clock::now() < end) {
      // Looked at before the pipe is: what was reported is in the pipe once the child has ended.
      const bool ended = wait_for_end(WNOHANG);
      if (const auto report = read_report())
        return report->what == Report::What::kReturned ? "" : exit_text(report->status);
      if (ended) return silent_end(status_);
      wait_for_report();
    }
    return "did not come to an end within " + std::to_string(limit.count()) + " ms";
  }

 private:
  bool wait_for_end(int options) {
    if (ended_) return true;
    pid_t result = -1;
    do result = waitpid(pid_, &status_, options);
    while (result < 0 && errno == EINTR);
    return ended_ = result != 0;
  }

  std::optional<Report> read_report() {
    Report report;
    const ssize_t n = read(reports_.number(), &report, sizeof report);
    return n == sizeof report ? std::optional(report) : std::nullopt;
  }

  // Comes back soon, too, if the child ends without closing its end: a process that it started may
  // hold it.
  void wait_for_report() {
    constexpr int kSliceMs = 5;
    pollfd waiting{.fd = reports_.number(), .events = POLLIN, .revents = 0};
    poll(&waiting, 1, kSliceMs);
    if ((waiting.revents & (POLLIN | POLLHUP)) == POLLHUP) usleep(500);
  }

  pid_t pid_;
  Descriptor reports_;
  int status_ = 0;
  bool ended_ = false;
};

}  // namespace

std::string outcome_in_child(const std::function<void()>& function,
                             std::chrono::milliseconds limit) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return "";
  Descriptor reads(ends[0]), writes(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return "";
  if (pid == 0) run_child(function, ends[1]);
  {
    const Descriptor closed = std::move(writes);
  }
  return Child(pid, std::move(reads)).outcome(limit);
}

}  // namespace perdure
