// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure_golden/folder_case.hpp"

#include <algorithm>
#include <filesystem>

namespace perdure::golden {

std::vector<std::string> subfolders(const std::string& folder) {
  std::vector<std::string> paths;
  if (!std::filesystem::is_directory(folder)) return paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_directory()) paths.push_back(entry.path().string());
  std::ranges::sort(paths);
  return paths;
}

std::string last_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

}  // namespace perdure::golden
