// SPDX-License-Identifier: Apache-2.0

// Implements apps/perdure_golden/judge.hpp.
#include "apps/perdure_golden/judge.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <utility>

namespace perdure::golden {
namespace {

std::string figure(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", x);
  return text;
}

}  // namespace

Outcome Outcome::skip(std::string why) {
  Outcome outcome;
  outcome.status = Status::kSkip;
  outcome.reason = std::move(why);
  return outcome;
}

double Judge::compare(const std::string& what, std::span<const float> found,
                      std::span<const float> golden, double* sum) {
  require(found.size() == golden.size(), what + ": " + std::to_string(found.size()) +
                                             " values instead of " + std::to_string(golden.size()));
  double worst = 0;
  for (size_t i = 0; i < std::min(found.size(), golden.size()); ++i) {
    const bool same = std::memcmp(&found[i], &golden[i], sizeof(float)) == 0;
    const double d = same ? 0 : std::abs(static_cast<double>(found[i]) - golden[i]);
    worst = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(worst, d);
    if (sum) *sum += d;
    if (sum) outcome_.n_bit_equal += same;
  }
  require(worst <= limits_.max_abs, what + " differ by " + figure(worst));
  outcome_.worst = std::max(outcome_.worst, worst);
  return worst;
}

void Judge::logits(const std::string& what, std::span<const float> found,
                   std::span<const float> golden) {
  outcome_.n_logits += static_cast<int64_t>(golden.size());
  compare(what, found, golden, &sum_of_logits_);
}

void Judge::state(const std::string& what, std::span<const float> found,
                  std::span<const float> golden) {
  compare(what, found, golden, nullptr);
}

void Judge::require(bool holds, const std::string& otherwise) {
  if (holds || outcome_.status == Status::kFail) return;
  outcome_.status = Status::kFail;
  outcome_.reason = otherwise;
}

Outcome Judge::verdict() const {
  Judge last = *this;
  const double mean = sum_of_logits_ / static_cast<double>(std::max<int64_t>(1, outcome_.n_logits));
  last.require(mean <= limits_.mean_abs, "logits differ by " + figure(mean) + " on average, over " +
                                             figure(limits_.mean_abs));
  last.outcome_.tolerance = limits_.max_abs;
  return last.outcome_;
}

}  // namespace perdure::golden
