// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/work_progress.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apps/perdure/terminal/output.hpp"

namespace perdure::app {

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::clamp(seconds, 0.0, 1e9) + 0.5);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string work_line(const WorkDone& done, double seconds, const std::string& cell) {
  constexpr int64_t kWidth = 20;
  const double share =
      done.all_estimated > 0 ? std::clamp(done.estimated / done.all_estimated, 0.0, 1.0) : 0.0;
  const auto full = static_cast<size_t>(share * kWidth);
  const double rate = seconds > 0 ? static_cast<double>(done.tokens) / seconds : 0.0;
  std::string line =
      fmt::format("[{}{}] {:3.0f} %  {} of {} cells, {} tokens/s", std::string(full, '#'),
                  std::string(kWidth - full, '.'), share * 100, done.cells, done.all_cells,
                  grouped(static_cast<int64_t>(rate)));
  if (share > 0) line += fmt::format(", {} left", duration_text(seconds * (1 - share) / share));
  return line + ", " + cell;
}

WorkProgress::~WorkProgress() {
  if (drawn_) show("\r\033[K");
}

void WorkProgress::update(const WorkDone& done, const std::string& cell) {
  if (!visible_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(100);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  show(fmt::format("\r{}\033[K", work_line(done, seconds, cell)));
  drawn_ = true;
}

}  // namespace perdure::app
