// SPDX-License-Identifier: Apache-2.0

#include "tests/apps/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>

namespace perdure::testing {
namespace {

constexpr std::chrono::seconds kPatience(30);

[[noreturn]] void become_perdure(Words words) {
  words.insert(words.begin(), "perdure");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(PERDURE_PROGRAM, argv.data());
  _exit(127);
}

void redirect(int to, const std::string& path, int flags) {
  const int file = open(path.c_str(), flags, 0600);
  if (file < 0 || dup2(file, to) < 0) _exit(126);
  close(file);
}

int status_of(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool is_over(pid_t child) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
         info.si_pid == child;
}

}  // namespace

Words golden_words(const std::string& model, const std::string& tokenizer) {
  const std::string folder = PERDURE_SOURCE_DIR "/tests/golden/llama2rnn/models/";
  Words words;
  for (const std::string& setting :
       {"model.path=" + folder + model, "model.tokenizer=" + folder + tokenizer,
        std::string("kernels.prefer=[scalar]"), std::string("threads={backend: serial, count: 1}"),
        std::string("sampling.temperature=0")}) {
    words.push_back("--set");
    words.push_back(setting);
  }
  return words;
}

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Outcome run_perdure(const Words& words, const Circumstances& circumstances) {
  const TemporaryFolder folder;
  write_all(folder / "in", circumstances.input);
  const std::string out =
      circumstances.output_path.empty() ? folder / "out" : circumstances.output_path;
  const pid_t child = fork();
  if (child == 0) {
    redirect(STDIN_FILENO, folder / "in", O_RDONLY);
    redirect(STDERR_FILENO, folder / "err", O_WRONLY | O_CREAT);
    redirect(STDOUT_FILENO, out, O_WRONLY | O_CREAT);
    if (circumstances.closed_stream >= 0) close(circumstances.closed_stream);
    if (circumstances.most_file_bytes >= 0) {
      const auto most = static_cast<rlim_t>(circumstances.most_file_bytes);
      const rlimit limit{most, most};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    constexpr uid_t kNobody = 65534;
    if (circumstances.as_nobody && getuid() == 0 && (setgid(kNobody) != 0 || setuid(kNobody) != 0))
      _exit(125);
    become_perdure(words);
  }
  Outcome outcome{.status = status_of(child)};
  if (circumstances.output_path.empty()) outcome.out = read_all(out);
  outcome.err = read_all(folder / "err");
  return outcome;
}

Running::Running(const Words& words) : child_(fork()) {
  if (child_ != 0) return;
  for (const int file : {STDOUT_FILENO, STDERR_FILENO}) redirect(file, "/dev/null", O_WRONLY);
  become_perdure(words);
}

Running::~Running() {
  if (child_ <= 0) return;
  kill(child_, SIGKILL);
  status_of(child_);
}

void Running::send(int signal) { kill(child_, signal); }

bool Running::has_ended() const { return is_over(child_); }

int Running::wait() {
  const int status = status_of(child_);
  child_ = -1;
  return status;
}

Terminal::Terminal(const Words& words, const std::string& home) {
  child_ = forkpty(&terminal_, nullptr, nullptr, nullptr);
  if (child_ != 0) return;
  setenv("TERM", "xterm", 1);
  setenv("XDG_STATE_HOME", home.c_str(), 1);
  become_perdure(words);
}

Terminal::~Terminal() {
  if (child_ > 0) {
    kill(child_, SIGKILL);
    status_of(child_);
  }
  hang_up();
}

void Terminal::send(int signal) { kill(child_, signal); }

void Terminal::hang_up() {
  if (terminal_ >= 0) close(terminal_);
  terminal_ = -1;
}

void Terminal::type(const std::string& keys) {
  if (write(terminal_, keys.data(), keys.size()) < 0) screen_ += "(cannot type)";
}

bool Terminal::read_more(int timeout_ms) {
  pollfd ready{terminal_, POLLIN, 0};  // after hang_up() only a pause
  if (poll(&ready, 1, timeout_ms) <= 0) return true;
  char block[4096];
  const ssize_t n = read(terminal_, block, sizeof block);
  if (n > 0) screen_.append(block, static_cast<size_t>(n));
  return n > 0;
}

bool Terminal::shows(const std::string& text) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + kPatience;
  while (Clock::now() < deadline) {
    const size_t found = screen_.find(text, seen_);
    if (found != std::string::npos) {
      seen_ = found + text.size();
      return true;
    }
    if (!read_more(100)) return false;
  }
  return false;
}

int Terminal::wait() {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + kPatience;
  while (read_more(100) && !is_over(child_)) {
    if (Clock::now() > deadline) return -1;
  }
  const int status = status_of(child_);
  child_ = -1;
  return status;
}

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_all(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace perdure::testing
