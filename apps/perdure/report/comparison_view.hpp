// SPDX-License-Identifier: Apache-2.0

// What tables and pictures ask of a comparison: its cells by place, the values there are on each
// axis, who is best, and which entries stand out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "core/eval/results.hpp"

namespace perdure::report {

// The measures and cells of both, deterministic ones first. Errors: Error if they do not have the
// same entries.
Comparison joined(const Comparison& results, const Comparison& measured);

// Borrows the comparison. Measures and entries are named by their index in it.
class ComparisonView {
 public:
  explicit ComparisonView(const Comparison& comparison);

  const Comparison& comparison() const { return comparison_; }
  const ComparedMeasure& measure(int64_t m) const { return comparison_.measures.at(index(m)); }
  const ComparedEntry& entry(int64_t e) const { return comparison_.entries.at(index(e)); }
  int64_t n_measures() const { return static_cast<int64_t>(comparison_.measures.size()); }
  int64_t n_entries() const { return static_cast<int64_t>(comparison_.entries.size()); }

  // nullptr if there is no such cell.
  const ComparedCell* cell(int64_t entry, int64_t measure, int64_t length, double axis = 0) const;
  // As cell, but nullptr unless it is done.
  const ComparedCell* figure(int64_t entry, int64_t measure, int64_t length, double axis = 0) const;

  // Ascending; of all cells of the measure, whatever their state.
  std::vector<int64_t> lengths(int64_t measure) const;
  // The longest length at which anything was measured; 0 if nothing was.
  int64_t longest_measured(int64_t measure) const;
  // Of done cells: of those at the longest length along a position, where every length has its own
  // values; of all cells otherwise.
  std::vector<double> axis_values(int64_t measure) const;
  bool has_figures(int64_t measure) const { return longest_measured(measure) > 0; }

  // Entries that are marked as the best of a column (ComparedCell::best), by their figures.
  std::vector<int64_t> best(int64_t measure, int64_t length) const;
  // All entries, best first: by the figure at the longest length, ties by the next shorter one.
  std::vector<int64_t> ranking(int64_t measure) const;
  // The measure that decides which entries stand out: "loss", or the first that has figures.
  int64_t main_measure() const { return main_measure_; }
  // The entry that others are compared to: the baseline, or the first.
  int64_t reference() const { return comparison_.baseline.value_or(0); }
  // A style per entry, the same in all pictures: 0 for the reference, and where there are more
  // entries than styles kGrey for all but the best.
  int style(int64_t entry) const { return styles_.at(index(entry)); }

 private:
  static size_t index(int64_t i) { return static_cast<size_t>(i); }
  std::vector<int> make_styles() const;

  const Comparison& comparison_;
  std::map<std::tuple<int64_t, int64_t, int64_t, double>, const ComparedCell*> cells_;
  int64_t main_measure_ = 0;
  std::vector<int> styles_;
};

}  // namespace perdure::report
