// SPDX-License-Identifier: Apache-2.0

// Collects what a case compares and turns it into one verdict.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace perdure::golden {

// How far numbers may be from the golden ones.
struct Limits {
  double max_abs = 0;
  double mean_abs = std::numeric_limits<double>::infinity();  // of logits only
};

enum class Status { kOk, kFail, kSkip };

struct Outcome {
  Status status = Status::kOk;
  double worst = 0;  // largest absolute difference
  double tolerance = 0;
  std::string reason;                // why failed or skipped; a remark if ok
  std::vector<std::string> remarks;  // lines of their own
  int64_t n_logits = 0, n_bit_equal = 0;

  static Outcome skip(std::string why);
};

class Judge {
 public:
  explicit Judge(const Limits& limits) : limits_(limits) {}

  // Adds numbers to the comparison; a NaN that the golden set does not have is an infinite
  // difference, another size a failure. `what` names them if they turn out to be too far off.
  void logits(const std::string& what, std::span<const float> found, std::span<const float> golden);
  void state(const std::string& what, std::span<const float> found, std::span<const float> golden);
  // Fails the case unless `holds`; the first failure is the reason given.
  void require(bool holds, const std::string& otherwise);
  void remark(std::string line) { outcome_.remarks.push_back(std::move(line)); }

  const Limits& limits() const { return limits_; }
  Outcome verdict() const;

 private:
  double compare(const std::string& what, std::span<const float> found,
                 std::span<const float> golden, double* sum);

  Limits limits_;
  Outcome outcome_;
  double sum_of_logits_ = 0;
};

}  // namespace perdure::golden
