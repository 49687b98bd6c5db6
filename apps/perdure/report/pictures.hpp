// SPDX-License-Identifier: Apache-2.0

// Which pictures a comparison gives, and what is in them: losses, speeds and bytes as lines over
// the length, curves along the position, grids of length and depth as heat maps.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "apps/perdure/report/comparison_view.hpp"
#include "apps/perdure/report/heat_map.hpp"
#include "apps/perdure/report/line_chart.hpp"

namespace perdure::report {

struct Picture {
  std::string name;  // of the file, without ".svg": letters, digits, '_' and '-'
  Caption caption;
  std::vector<int64_t> measures;  // that it shows, with their controls
  std::variant<LineFigure, HeatFigure> content;
};

// One per measure that has figures; speeds share "speed", bytes share "ram", and a measure with
// its controls shares one; then quality against state and time (pareto.hpp). Deterministic order:
// as the measures.
std::vector<Picture> pictures_of(const ComparisonView& view);

// `id` is unique among the drawings of a page.
Drawing draw(const Picture& picture, double width, const std::string& id);

// What is said of a cell when it is pointed at: entry, place, figure, interval, samples; or why
// there is no figure.
std::string hover_text(const ComparisonView& view, const ComparedCell& cell);
// A value of a second axis: "25 %" of a depth, "1,024" of a position.
std::string axis_text(const std::string& axis, double value);

}  // namespace perdure::report
