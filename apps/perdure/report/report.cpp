// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/report/report.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <span>

#include "apps/perdure/report/comparison_view.hpp"
#include "apps/perdure/report/pictures.hpp"
#include "core/base/write_file.hpp"

namespace perdure::report {
namespace {

// Pictures of a report are recognised by how they begin.
bool is_own_picture(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string head(400, '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  return head.starts_with("<?xml") && head.find("class=\"picture\"") != std::string::npos;
}

// What an earlier report drew and this one does not: it would belong to other figures.
void remove_old_pictures(const std::string& folder, const std::vector<std::string>& names) {
  std::error_code ignored;
  for (const auto& file : std::filesystem::directory_iterator(folder, ignored)) {
    const std::filesystem::path& path = file.path();
    const bool is_new = std::find(names.begin(), names.end(), path.filename()) != names.end();
    if (!is_new && path.extension() == ".svg" && file.is_regular_file(ignored) &&
        is_own_picture(path))
      std::filesystem::remove(path, ignored);
  }
}

}  // namespace

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
  remove_old_pictures(folder, names);
  return names;
}

}  // namespace perdure::report
