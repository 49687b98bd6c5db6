// SPDX-License-Identifier: Apache-2.0

// The progress bar: one line on standard error that is redrawn in place, never wider than
// the terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace perdure::app {

// What the line says; what is empty is left out.
struct ProgressText {
  std::string what;    // before the bar
  double share = 1;    // of the work that is done, 0 to 1
  std::string counts;  // "1,000 of 2,000 tokens"
  std::string rate;    // "500 tokens/s"
  std::string left;    // "0:02 left"
  std::string detail;  // behind everything
};

// "reading [#####.....]  50 %  1,000 of 2,000 tokens, 500 tokens/s, 0:02 left" in at most `columns`
// cells. A narrow line loses first the length of the bar, then detail, what, counts and the bar;
// share, rate and time left stay as long as they fit. Pure.
std::string progress_line(const ProgressText& text, size_t columns);

// Tokens of a text that is read. Pure.
ProgressText reading_progress(const std::string& what, int64_t done, int64_t total, double seconds);

// "500 tokens/s". Pure.
std::string rate_text(int64_t tokens, double seconds);

// "1:05", "2:03:00". Pure.
std::string duration_text(double seconds);

class ProgressBar {
 public:
  // Draws nothing unless `visible`, and nothing before `patience` has passed.
  explicit ProgressBar(bool visible, std::chrono::milliseconds patience = {});
  ~ProgressBar();  // removes the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // Draws at most ten times a second; `text` is asked only then, with the seconds since the bar was
  // made.
  void update(const std::function<ProgressText(double seconds)>& text);

 private:
  using Clock = std::chrono::steady_clock;

  bool visible_;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_;
};

// The bar of a text that is read: shown on a terminal after half a second, short work shows none.
class Progress {
 public:
  Progress(std::string what, int64_t total, bool quiet);

  void update(int64_t done);

 private:
  std::string what_;
  int64_t total_;
  ProgressBar bar_;
};

}  // namespace perdure::app
