// SPDX-License-Identifier: Apache-2.0

// What all tables of the page are made of.
#pragma once

#include <cstdint>
#include <string>

#include "apps/perdure/report/comparison_view.hpp"
#include "apps/perdure/report/markup.hpp"

namespace perdure::report {

// A table that can be sorted, in a box of its own that scrolls. Both elements stay open.
void open_table(Markup& markup, const std::string& caption);

// A heading of a column.
void add_heading(Markup& markup, const std::string& words, const std::string& css_class = "");

// A heading of a row: the entry's name, beside it the colour and marker it has in the pictures.
void add_entry_heading(Markup& markup, const ComparisonView& view, int64_t entry);

}  // namespace perdure::report
