// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/report.hpp"

#include <span>

#include "apps/perdure/report/comparison_view.hpp"
#include "apps/perdure/report/pictures.hpp"
#include "core/base/write_file.hpp"

namespace perdure::report {

std::vector<std::string> write_report(const Comparison& results, const Comparison& measured,
                                      const ReportContext& context, const std::string& folder) {
  constexpr double kFileWidth = 900;
  std::vector<std::string> names;
  const auto write = [&](const std::string& name, const std::string& text) {
    write_file(folder + "/" + name, std::as_bytes(std::span(text)), {.mode = 0666});
    names.push_back(name);
  };
  const Comparison comparison = joined(results, measured);
  write("report.html", report_page(comparison, context));
  for (const Picture& picture : pictures_of(ComparisonView(comparison)))
    write(picture.name + ".svg", svg_file(draw(picture, kFileWidth, "picture"), picture.caption));
  return names;
}

}  // namespace perdure::report
