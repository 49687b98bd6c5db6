// SPDX-License-Identifier: Apache-2.0

// What a comparison found, as data and as files.
#pragma once

#include <string>

#include "apps/perdure/compare/survey.hpp"

namespace perdure::app {

// The figures of all measures of the kind: those that are the same everywhere, or those of the
// machine. Pure.
Comparison make_comparison(const ComparePlan& plan, const Survey& survey, bool machine);

// RFC 4180: one line per cell below a line of names. Pure.
std::string comparison_csv(const Comparison& comparison);
// A field as it stands there: quoted where it has to be. Pure.
std::string csv_field(const std::string& text);

// results.json and results.csv, measured.json, and times.csv: the seconds of every cell. Each is
// whole or as it was before. Errors: Error naming the file.
void write_comparison(const ComparePlan& plan, const Survey& survey, const std::string& folder);

}  // namespace perdure::app
