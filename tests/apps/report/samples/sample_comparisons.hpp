// SPDX-License-Identifier: Apache-2.0

// Made-up comparisons that look like real ones, and some that nobody hopes for. sample_reports
// writes their reports, for scripts to parse and for people to look at.
#pragma once

#include <string>
#include <vector>

#include "core/eval/results.hpp"

namespace perdure::test {

struct Sample {
  std::string name;
  Comparison results, measured;
};

// 30 methods at 8 lengths with controls, passkeys, recall, speeds and bytes; some run away, some
// are refused.
Sample many_methods();
// A plain model and one with memory, three lengths.
Sample two_entries();
// Twelve entries at one length.
Sample one_length();
// Every text tries to leave its place, or is not even UTF-8.
Sample hostile_texts();
// Entries and measures, but nothing measured yet.
Sample nothing_measured();

std::vector<Sample> all_samples();

// A done cell with an interval of 1 % around the value.
ComparedCell done_cell(int64_t entry, int64_t measure, int64_t length, double value,
                       double axis = 0);

}  // namespace perdure::test
