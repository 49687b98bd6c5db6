// SPDX-License-Identifier: Apache-2.0

// A comparison as people read it: pictures as files, and one page that holds everything and needs
// nothing, neither a network nor scripts. Equal input gives equal bytes.
#pragma once

#include <string>
#include <vector>

#include "core/eval/results.hpp"

namespace perdure::report {

// What stands on the page beside the figures.
struct ReportContext {
  std::string command;  // that repeats the comparison
  std::string version;  // of the program
};

// The whole page. `comparison` holds deterministic and measured figures (see joined()). Pure; any
// thread.
std::string report_page(const Comparison& comparison, const ReportContext& context);

// Writes report.html and one .svg per picture (loss.svg, speed.svg, ram.svg, ...) into a folder
// that exists, each file whole or not at all; what lay there under these names is replaced, and
// pictures of an earlier report that are not among them are removed. Returns the names of the
// files, report.html first. Errors: Error if the two do not have the same entries, or naming the
// file that cannot be written.
std::vector<std::string> write_report(const Comparison& results, const Comparison& measured,
                                      const ReportContext& context, const std::string& folder);

}  // namespace perdure::report
