// SPDX-License-Identifier: Apache-2.0

// Small things that bench counts with.
#pragma once

#include <string>
#include <vector>

namespace perdure::app {

struct Spread {
  double median = 0, min = 0, max = 0;
};

// Requires: at least one value. The median of an even number of values is the mean of the middle
// two.
Spread spread_of(std::vector<double> values);

// Names of the kernels in a plan's description, each once, sorted.
std::vector<std::string> kernels_in_plan(const std::string& description);

}  // namespace perdure::app
