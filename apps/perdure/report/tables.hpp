// SPDX-License-Identifier: Apache-2.0

// The figures of a comparison as HTML tables. They read well without scripts; with them, a click on
// a heading sorts.
#pragma once

#include <cstdint>

#include "apps/perdure/report/comparison_view.hpp"
#include "apps/perdure/report/markup.hpp"

namespace perdure::report {

// Entries down, lengths across: figure and 95 % interval, the best of each column marked, a line
// where the length of training ends. Requires: a measure without a second axis.
Markup length_table(const ComparisonView& view, int64_t measure);

// Entries and lengths down, the second axis across. Requires: a measure with one.
Markup axis_table(const ComparisonView& view, int64_t measure);

// Differences to the baseline, sample by sample, as far as there are any.
bool has_differences(const ComparisonView& view, int64_t measure);
Markup difference_table(const ComparisonView& view, int64_t measure);

// Cells that were refused or failed, by entry and reason. Nothing if there are none.
Markup reasons_table(const ComparisonView& view);

}  // namespace perdure::report
