// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "apps/perdure/terminal/columns.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/base/escape.hpp"

namespace perdure::app {
namespace {

constexpr size_t kWidestBar = 20, kNarrowestBar = 8;

std::string bar_text(double share, size_t width) {
  const auto full = static_cast<size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(width));
  return fmt::format("[{}{}] ", std::string(full, '#'), std::string(width - full, '.'));
}

// Bars of width 0 are left out.
std::string line_of(const ProgressText& text, size_t bar_width) {
  std::string line = text.what.empty() ? "" : text.what + " ";
  if (bar_width > 0) line += bar_text(text.share, bar_width);
  line += fmt::format("{:3.0f} %", std::clamp(text.share, 0.0, 1.0) * 100);
  const char* before = "  ";
  for (const std::string* part : {&text.counts, &text.rate, &text.left, &text.detail}) {
    if (part->empty()) continue;
    line += before + *part;
    before = ", ";
  }
  return line;
}

// The last cell stays free: some terminals go to the next line when it is written.
size_t terminal_columns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 79;
  return size.ws_col - 1u;
}

}  // namespace

std::string progress_line(const ProgressText& text, size_t columns) {
  const auto fits = [&](const std::string& line) { return display_width(line) <= columns; };
  ProgressText shown = text;
  std::string line = line_of(shown, kWidestBar);
  for (size_t width = kWidestBar; !fits(line) && width > kNarrowestBar; --width)
    line = line_of(shown, width - 1);
  for (std::string ProgressText::* part :
       {&ProgressText::detail, &ProgressText::what, &ProgressText::counts}) {
    if (fits(line)) return line;
    (shown.*part).clear();
    line = line_of(shown, kNarrowestBar);
  }
  if (!fits(line)) line = line_of(shown, 0);
  return fits(line) ? line : fitted(line, columns);
}

std::string rate_text(int64_t tokens, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
  return grouped(static_cast<int64_t>(rate)) + " tokens/s";
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::clamp(seconds, 0.0, 1e9) + 0.5);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

ProgressText reading_progress(const std::string& what, int64_t done, int64_t total,
                              double seconds) {
  ProgressText text{.what = what,
                    .counts = fmt::format("{} of {} tokens", grouped(done), grouped(total)),
                    .rate = rate_text(done, seconds)};
  if (total > 0) text.share = static_cast<double>(done) / static_cast<double>(total);
  if (done > 0)
    text.left =
        duration_text(seconds * static_cast<double>(total - done) / static_cast<double>(done)) +
        " left";
  return text;
}

ProgressBar::ProgressBar(bool visible, std::chrono::milliseconds patience)
    : visible_(visible), next_(start_ + patience) {}

ProgressBar::~ProgressBar() {
  if (drawn_) show("\r\033[K");
}

void ProgressBar::update(const std::function<ProgressText(double)>& text) {
  if (!visible_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(100);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  show(fmt::format("\r{}\033[K", escaped(progress_line(text(seconds), terminal_columns()))));
  drawn_ = true;
}

Progress::Progress(std::string what, int64_t total, bool quiet)
    : what_(std::move(what)),
      total_(total),
      bar_(!quiet && isatty(STDERR_FILENO) != 0, std::chrono::milliseconds(500)) {}

void Progress::update(int64_t done) {
  bar_.update([&](double seconds) { return reading_progress(what_, done, total_, seconds); });
}

}  // namespace perdure::app
