// SPDX-License-Identifier: Apache-2.0

// sample_reports FOLDER: writes the reports of all samples into folders below it.
#include <filesystem>
#include <iostream>

#include "apps/perdure/report/report.hpp"
#include "tests/apps/report/samples/sample_comparisons.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: sample_reports FOLDER\n";
    return 2;
  }
  for (const perdure::test::Sample& sample : perdure::test::all_samples()) {
    const std::filesystem::path folder = std::filesystem::path(argv[1]) / sample.name;
    std::filesystem::create_directories(folder);
    perdure::report::write_report(sample.results, sample.measured,
                                  {"perdure compare -c <compare & more>.yaml", "0.1.0"},
                                  folder.string());
  }
}
