// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure_golden/numbers.hpp"

#include <algorithm>
#include <cmath>

#include "core/eval/windows.hpp"

namespace perdure::golden {
namespace {

constexpr double kSmoothing = 1e-6;

}  // namespace

std::vector<double> log_probabilities(std::span<const float> logits) {
  const double largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - largest);
  std::vector<double> result;
  for (const float x : logits) result.push_back(x - largest - std::log(sum));
  return result;
}

double mean_loss(std::span<const float> logits, size_t width, std::span<const int32_t> labels,
                 size_t length) {
  double sum = 0;
  int64_t n = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (i % length == 0 || labels[i] < 0) continue;
    sum += score_row(logits.subspan((i - 1) * width, width), labels[i]).loss;
    ++n;
  }
  return sum / static_cast<double>(n);
}

double divergence(std::span<const float> student_logits, std::span<const float> teacher,
                  std::span<const int32_t> index, bool smooth) {
  const auto student = log_probabilities(student_logits);
  const auto n = static_cast<double>(teacher.size());
  const auto smoothed = [&](double p) {
    return smooth ? (p + kSmoothing) / (1.0 + kSmoothing * n) : p;
  };
  double sum = 0, others = 1.0;
  const auto add = [&](double of_teacher, double of_student) {
    const double p = smoothed(of_teacher);
    if (p > 0) sum += p * (std::log(p) - std::log(smoothed(of_student)));
  };
  for (size_t i = 0; i < index.size(); ++i) {
    const double p = std::exp(student[static_cast<size_t>(index[i])]);
    others -= p;
    add(teacher[i], p);
  }
  if (smooth) add(teacher.back(), others);
  return sum;
}

}  // namespace perdure::golden
