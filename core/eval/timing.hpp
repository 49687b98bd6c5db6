// SPDX-License-Identifier: Apache-2.0

// One session that reads random tokens against the clock. Used by the measures of time and memory.
#pragma once

#include <cstdint>
#include <vector>

#include "core/eval/measure_kind.hpp"

namespace perdure {

class TimedReader {
 public:
  // `done`: tokens that the measure has read before.
  TimedReader(const MeasureRun& run, int64_t done = 0);

  // Reads on to a position, logits of the last token only. Adds to seconds(). False if the
  // measure's progress said stop. Requires: not before the present position.
  bool read_to(int64_t position);
  // Reads one token with its logits; returns the seconds it took.
  double read_one();

  int64_t position() const { return session_.position(); }
  double seconds() const { return seconds_; }

 private:
  std::vector<int32_t> random_tokens(int64_t count);

  const MeasureRun& run_;
  int64_t done_;
  Session session_;
  RandomState random_;
  std::vector<float> logits_;
  double seconds_ = 0;
};

}  // namespace perdure
