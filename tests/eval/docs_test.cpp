// SPDX-License-Identifier: Apache-2.0

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

#include "core/eval/measure_options.hpp"

using namespace perdure;

TEST_CASE("docs/measures.md names every measure, figure and option") {
  std::ifstream file(std::string(PERDURE_SOURCE_DIR) + "/docs/measures.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const auto check_named = [&](const std::string& word) {
    CAPTURE(word);
    CHECK(page.find("`" + word + "`") != std::string::npos);
  };
  for (const MeasureInfo& info : measures()) {
    check_named(info.name);
    for (const FigureInfo& figure : figures_of({.name = info.name})) check_named(figure.name);
  }
  for (const MeasureOption& option : measure_options()) check_named(option.spec.name);
}
