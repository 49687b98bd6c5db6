// SPDX-License-Identifier: Apache-2.0

// What a comparison found, as data and as files.
#pragma once

#include <span>
#include <string>

#include "apps/perdure/compare/survey.hpp"
#include "core/base/descriptor.hpp"

namespace perdure::app {

// In the folder of a comparison: its configuration, to repeat it.
inline constexpr const char* kConfigurationFile = "compare.yaml";

// The figures of all measures of the kind: those that are the same everywhere, or those of the
// machine. Pure.
Comparison make_comparison(const ComparePlan& plan, const Survey& survey, bool machine);

// Of single measurements, such as bytes, cells that read like a marked one are marked too: a mark
// at one of two equal texts would only puzzle. Where all cells are marked then, none is. `column`:
// cells that are done, of one figure at one place. Pure.
void mark_what_reads_alike(std::span<ComparedCell* const> column, const std::string& unit);

// RFC 4180: one line per cell below a line of names. Keys of the configuration whose values are not
// the same for all entries are columns at the end. Pure.
std::string comparison_csv(const Comparison& comparison);
// A field as it stands there: quoted where it has to be; a text that a spreadsheet would take for a
// formula begins with an apostrophe. Pure.
std::string csv_field(const std::string& text);
// One line per sample of every cell that is done. Pure.
std::string samples_csv(const ComparePlan& plan, const Survey& survey);

// Only one run at a time writes into a folder. Released on destruction, or by the system.
class FolderLock {
 public:
  // Errors: Error naming the folder if another run has it, or if it cannot be locked.
  explicit FolderLock(const std::string& folder);

 private:
  Descriptor file_;
};

// A run replaces files of these names, and removes the pictures of an earlier one. Errors:
// UsageError if `folder` is not a comparison's and has one of them, or if it has the configuration
// (a path, or empty) that is being read.
void require_own_folder(const std::string& folder, const std::string& configuration);

// results.json and results.csv, tables.md and tables.tex, measured.json, samples.csv, and
// times.csv: the seconds of every cell. Each is whole or as it was before. Errors: Error naming the
// file.
void write_comparison(const ComparePlan& plan, const Survey& survey, const std::string& folder);

}  // namespace perdure::app
