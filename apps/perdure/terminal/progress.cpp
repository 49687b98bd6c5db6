// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "apps/perdure/terminal/output.hpp"

namespace perdure::app {

std::string progress_line(const std::string& what, int64_t done, int64_t total, double seconds) {
  constexpr int64_t kWidth = 20;
  const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1.0;
  const auto full = std::clamp<int64_t>(static_cast<int64_t>(share * kWidth), 0, kWidth);
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0.0;
  std::string line =
      fmt::format("{} [{}{}] {:3.0f} %  {} of {} tokens, {} tokens/s", what,
                  std::string(static_cast<size_t>(full), '#'),
                  std::string(static_cast<size_t>(kWidth - full), '.'), share * 100, grouped(done),
                  grouped(total), grouped(static_cast<int64_t>(rate)));
  if (rate > 0) {
    const auto left = static_cast<int64_t>(static_cast<double>(total - done) / rate + 0.5);
    line += fmt::format(", {}:{:02} left", left / 60, left % 60);
  }
  return line;
}

Progress::Progress(std::string what, int64_t total, bool quiet)
    : what_(std::move(what)), total_(total), visible_(!quiet && isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  if (drawn_) show("\r\033[K");
}

void Progress::update(int64_t done) {
  if (!visible_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(100);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  show(fmt::format("\r{}\033[K", progress_line(what_, done, total_, seconds)));
  drawn_ = true;
}

}  // namespace perdure::app
