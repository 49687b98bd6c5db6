// SPDX-License-Identifier: Apache-2.0

// How far a comparison is: cells, tokens, time left.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace perdure::app {

// What is done of the work and what the whole was thought to take.
struct WorkDone {
  int64_t cells = 0, all_cells = 0;
  int64_t tokens = 0;
  double estimated = 0, all_estimated = 0;  // seconds, of what is done and of everything
};

// "[#####...............]  25 %  3 of 12 cells, 5,000 tokens/s, 0:06 left, plain/loss/2048". The
// time left is what remains of the estimate, stretched as the work done so far was. Pure.
std::string work_line(const WorkDone& done, double seconds, const std::string& cell);

// "1:05", "2:03:00". Pure.
std::string duration_text(double seconds);

class WorkProgress {
 public:
  // Draws nothing unless `visible`.
  explicit WorkProgress(bool visible) : visible_(visible) {}
  ~WorkProgress();  // removes the line
  WorkProgress(const WorkProgress&) = delete;
  WorkProgress& operator=(const WorkProgress&) = delete;

  // Draws at most ten times a second.
  void update(const WorkDone& done, const std::string& cell);

 private:
  using Clock = std::chrono::steady_clock;

  bool visible_;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = start_;
};

}  // namespace perdure::app
