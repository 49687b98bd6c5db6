// SPDX-License-Identifier: Apache-2.0

// A progress bar on standard error; draws nothing unless that is a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace perdure::app {

// "reading [#####.....]  50 %  1,000 of 2,000 tokens, 500 tokens/s, 0:02 left". Pure.
std::string progress_line(const std::string& what, int64_t done, int64_t total, double seconds);

class Progress {
 public:
  Progress(std::string what, int64_t total, bool quiet);
  ~Progress();  // removes the bar
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Draws at most ten times a second, and not before half a second has passed: short work shows no
  // bar.
  void update(int64_t done);

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  int64_t total_;
  bool visible_;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = start_ + std::chrono::milliseconds(500);
};

}  // namespace perdure::app
