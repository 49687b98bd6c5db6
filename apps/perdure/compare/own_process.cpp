// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/own_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "apps/perdure/compare/circumstances.hpp"
#include "apps/perdure/compare/ranks.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "core/api/error.hpp"

extern char** environ;

namespace perdure::app {
namespace {

constexpr const char* kProgram = "/proc/self/exe";

// For argv and envp: pointers into texts that live as long.
class Pointers {
 public:
  explicit Pointers(std::vector<std::string> texts) : texts_(std::move(texts)) {
    for (std::string& text : texts_) pointers_.push_back(text.data());
    pointers_.push_back(nullptr);
  }
  char** data() { return pointers_.data(); }

 private:
  std::vector<std::string> texts_;
  std::vector<char*> pointers_;
};

std::vector<std::string> environment_without_mpirun() {
  std::vector<std::string> result;
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (!is_of_mpirun(*variable)) result.emplace_back(*variable);
  return result;
}

// Reads until the other end is closed, passing on Ctrl-C meanwhile.
std::string read_to_end(int file, pid_t child) {
  std::string text;
  std::array<char, 4096> block;
  while (true) {
    const ssize_t n = read(file, block.data(), block.size());
    if (n > 0) text.append(block.data(), static_cast<size_t>(n));
    if (n == 0 || (n < 0 && errno != EINTR)) return text;
    if (n < 0 && interrupted()) kill(child, SIGINT);
  }
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// "perdure: no model is given\n" -> "no model is given".
std::string without_name(std::string text) {
  constexpr std::string_view kName = "perdure: ";
  if (text.starts_with(kName)) text.erase(0, kName.size());
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

pid_t start(const std::vector<std::string>& words, int error_file) {
  std::vector<std::string> all{"perdure"};
  all.insert(all.end(), words.begin(), words.end());
  Pointers arguments(std::move(all)), environment(environment_without_mpirun());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, error_file, STDERR_FILENO);
  const WholeMachine whole;
  pid_t child = -1;
  const int error =
      posix_spawn(&child, kProgram, &actions, nullptr, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    throw Error(fmt::format("cannot start a process for a cell: {}", std::strerror(error)));
  return child;
}

}  // namespace

ProcessEnd run_own_process(const std::vector<std::string>& words) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0)
    throw Error(fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  pid_t child = -1;
  try {
    child = start(words, ends[1]);
  } catch (const Error&) {
    close(ends[0]);
    close(ends[1]);
    throw;
  }
  close(ends[1]);
  ProcessEnd end{.complaint = without_name(read_to_end(ends[0], child))};
  close(ends[0]);
  end.status = wait_for(child);
  if (end.complaint.empty())
    end.complaint = end.status > 128
                        ? fmt::format("its process was ended by signal {}", end.status - 128)
                        : fmt::format("its process ended with status {}", end.status);
  return end;
}

}  // namespace perdure::app
