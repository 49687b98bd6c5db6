// SPDX-License-Identifier: Apache-2.0

// How far a comparison is: cells, tokens, time left.
#pragma once

#include <cstdint>
#include <string>

#include "apps/perdure/terminal/progress.hpp"

namespace perdure::app {

// What is done of the work and what the whole was thought to take.
struct WorkDone {
  int64_t cells = 0, all_cells = 0;
  int64_t tokens = 0;
  double estimated = 0, all_estimated = 0;  // seconds, of what is done and of everything
};

// "[#####...............]  25 %  3 of 12 cells, 5,000 tokens/s, 0:06 left, plain/loss/2048". The
// time left is what remains of the estimate, stretched as the work done so far was. Pure.
ProgressText work_progress(const WorkDone& done, double seconds, const std::string& cell);

}  // namespace perdure::app
