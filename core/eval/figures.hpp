// SPDX-License-Identifier: Apache-2.0

// From samples to what is shown: means, 95 % intervals, paired differences. All sums run in the
// order of the samples: the same bits everywhere. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/eval/measure.hpp"

namespace perdure {

// A value and the 95 % interval around it.
struct Interval {
  double value = 0;
  double low = 0, high = 0;
};

// Mean with Student's t. One sample: the interval is the value itself. Requires: not empty.
Interval mean_interval(std::span<const double> samples);

// Share of ones among samples of 0 and 1, with Wilson's interval, which is not empty where all
// samples agree (E. B. Wilson, 1927). Requires: not empty.
Interval share_interval(std::span<const double> samples);

// As the figure wants it: mean, exp of the mean, or share. No figure is below 0 and no share above
// 1: the interval is cut there.
Interval figure_interval(const FigureInfo& figure, std::span<const double> samples);

// Mean of samples[i] - baseline[i] with Student's t: what is left when both read the same text.
// For a perplexity the difference of the losses. Requires: equally many, not empty.
Interval paired_difference(std::span<const double> samples, std::span<const double> baseline);

// Difference of two means whose samples have nothing to do with each other, with Welch's interval.
// Infinite where one has fewer than two samples. Requires: not empty.
Interval unpaired_difference(std::span<const double> samples, std::span<const double> baseline);

// Of one figure of several entries: true for the best and for every other one that a test of the
// differences (95 %) does not tell from it. All false where fewer than two have a number, or where
// no two of them differ by it. `entries`: the samples of each, empty where there is no figure; of
// deterministic measures sample i of every entry has the same targets. Pure; any thread.
std::vector<bool> best_of(const FigureInfo& figure, bool deterministic,
                          std::span<const std::span<const double>> entries);

// Student's t below which 97.5 % lie, for so many degrees of freedom. Requires: >= 1.
double student_t_975(int64_t degrees_of_freedom);

}  // namespace perdure
