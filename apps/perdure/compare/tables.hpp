// SPDX-License-Identifier: Apache-2.0

// Results as tables for people: a row per entry, a column per length, the best of each column
// marked.
#pragma once

#include <string>

#include "core/eval/results.hpp"

namespace perdure::app {

// A table per figure, then why cells are refused or failed. Figures with a second axis show the
// mean over it. `colour`: the best in bold green besides its mark. Pure.
std::string comparison_tables(const Comparison& comparison, bool colour);

// "2.3457 ±0.012", "123 kB", "67.2 % ±8.1". Pure.
std::string figure_text(const Interval& figure, const std::string& unit);

}  // namespace perdure::app
