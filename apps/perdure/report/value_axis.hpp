// SPDX-License-Identifier: Apache-2.0

// How far the axis of values reaches: far enough to show who runs away, and not so far that nothing
// else can be seen.
#pragma once

#include <optional>
#include <vector>

#include "apps/perdure/report/line_chart.hpp"
#include "core/eval/results.hpp"

namespace perdure::report {

// Losses from the lowest on, up to ten medians; shares from 0 to 1; other figures from 0 on, or on
// a logarithmic axis where they differ by much.
Axis value_axis(const ComparedMeasure& measure, const std::vector<Series>& all);

// False if many intervals of the coloured lines are so long that their bands would cover the lines
// of the others. Requires: a range above 0 on logarithmic scales.
bool intervals_fit(const std::vector<Series>& all, Range range, ScaleKind kind);

// The range that the better half of the coloured lines needs; nothing if the panel shows them well
// enough, or shows no losses, or those of a control.
std::optional<Range> close_range(const ComparedMeasure& measure, const Panel& panel);

// True if at some x more than three coloured intervals lie over one another: their bands would be a
// blot.
bool bands_pile_up(const std::vector<Series>& all);

}  // namespace perdure::report
