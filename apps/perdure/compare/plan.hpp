// SPDX-License-Identifier: Apache-2.0

// What a comparison will do: measures with their options filled in, and the cells, each a measure
// of an entry at a length.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/comparison.hpp"
#include "core/eval/measure.hpp"

namespace perdure::app {

// A measure of the comparison. `figures` have names that no other measure of the plan has.
struct PlannedMeasure {
  std::string label;  // "loss", "loss/reset": unique in a plan
  MeasureSpec spec;   // input form and train length are the entry's, see spec_of()
  MeasureInfo info;
  bool reads_text = true;  // with these options
  std::vector<FigureInfo> figures;
  std::string key;  // everything that changes its samples, as text
};

struct Cell {
  size_t entry = 0, measure = 0;
  int64_t length = 0;

  bool operator==(const Cell&) const = default;
};

struct ComparePlan {
  ComparisonSettings settings;
  std::vector<PlannedMeasure> measures;

  // Every cell, by entry, length and measure: the order in which an engine serves most cells.
  std::vector<Cell> cells() const;
  MeasureSpec spec_of(const Cell& cell) const;
  bool is_machine(const Cell& cell) const;
  // "window 512/loss/2048": how --only and messages name it.
  std::string name_of(const Cell& cell) const;
};

// Errors: UsageError with the place of what cannot be: an unknown measure or option, two measures
// that find the same figure, text missing. Error for a file of tasks that cannot be read.
ComparePlan make_plan(ComparisonSettings settings);

// The cells that one of `patterns` names: "ENTRY", "ENTRY/MEASURE" or "ENTRY/MEASURE/LENGTH"; all
// if there is none. Errors: UsageError for a pattern that names no cell.
std::vector<Cell> select_cells(const ComparePlan& plan, const std::vector<std::string>& patterns);

}  // namespace perdure::app
