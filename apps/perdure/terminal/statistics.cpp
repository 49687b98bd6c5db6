// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/terminal/statistics.hpp"

#include <algorithm>
#include <set>
#include <sstream>

namespace perdure::app {

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

std::vector<std::string> kernels_in_plan(const std::string& description) {
  static constexpr std::string_view kBy = " by ";
  std::set<std::string> names;
  std::istringstream lines(description);
  for (std::string line; std::getline(lines, line);) {
    const size_t by = line.find(kBy);
    if (by == std::string::npos) continue;
    const size_t begin = by + kBy.size();
    names.insert(line.substr(begin, line.find_first_of(", \n", begin) - begin));
  }
  return {names.begin(), names.end()};
}

}  // namespace perdure::app
