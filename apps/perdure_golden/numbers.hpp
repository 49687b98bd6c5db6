// SPDX-License-Identifier: Apache-2.0

// What the originals' programs compute of logits: losses, the divergence of CEPE's distillation and
// RePlug's mixture. In double.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace perdure::golden {

// log of the probabilities that logits give, [n].
std::vector<double> log_probabilities(std::span<const float> logits);

// The mean negative log probability of the labels of texts of `length` places, each expected at the
// place before its own; those below 0 are left out. logits [labels, width], or their logarithms of
// probabilities.
double mean_loss(std::span<const float> logits, size_t width, std::span<const int32_t> labels,
                 size_t length);

// KL(teacher || student) over the tokens `index` [k] and, if `smooth`, the others together;
// teacher [k + 1], the last being the others. Smoothed, 1e-6 is added to every probability before
// they are made to sum to 1.
double divergence(std::span<const float> student_logits, std::span<const float> teacher,
                  std::span<const int32_t> index, bool smooth);

}  // namespace perdure::golden
