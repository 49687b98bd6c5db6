// SPDX-License-Identifier: Apache-2.0

// Results as tables for people: a row per entry, a column per length, the best of each column
// marked.
#pragma once

#include <span>
#include <string>

#include "core/eval/results.hpp"

namespace perdure::app {

// A table per figure, then warnings of entries that do no better than guessing, and where times
// were measured. "*" stands behind the best of a column and behind whatever a test does not tell
// from it (ComparedCell::best). Figures with a second axis show the mean over it, unmarked.
// `colour`: the best in bold green besides its mark. Pure.
std::string comparison_tables(const Comparison& comparison, bool colour);

// Why cells are refused or failed: "window: refused: ... [256, 512]", each reason of an entry once,
// however many comparisons have it. Pure.
std::string reasons_text(std::span<const Comparison> parts);

// The same tables as Markdown, and as LaTeX of class article (booktabs), with the best in bold.
// Names are escaped. Pure.
std::string markdown_tables(const Comparison& comparison);
std::string latex_tables(const Comparison& comparison);

}  // namespace perdure::app
