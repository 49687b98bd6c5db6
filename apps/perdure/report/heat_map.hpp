// SPDX-License-Identifier: Apache-2.0

// Small heat maps side by side: shades of one colour for shares from 0 to 1, with the figures in
// the cells where they fit. Knows nothing of models.
#pragma once

#include <string>
#include <vector>

#include "apps/perdure/report/drawing.hpp"

namespace perdure::report {

struct HeatCell {
  double share = 0;  // outside 0 to 1: drawn as the nearer end
  bool measured = false;
  std::string words;  // in the cell, about three characters
  std::string hover;
};

struct HeatMap {
  std::string title;
  std::vector<HeatCell> cells;  // [n_rows, n_columns], row-major
};

// All maps have the same rows and columns.
struct HeatFigure {
  std::string column_title, row_title;
  std::vector<std::string> columns, rows;
  std::vector<HeatMap> maps;
  std::vector<std::string> notes;
};

// As many maps in a row as fit; without maps the notes alone. Requires: at least one row and one
// column, and cells.size() == rows.size() * columns.size() in every map.
Drawing draw_heat_maps(const HeatFigure& figure, double width);

}  // namespace perdure::report
