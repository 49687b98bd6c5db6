// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure_golden/folder_case.hpp"

#include <algorithm>
#include <filesystem>

#include "plugins/linked_plugins.hpp"

namespace perdure::golden {
namespace {

int32_t most_likely(std::span<const float> logits) {
  return static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
}

}  // namespace

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

Case load_case(const std::string& folder, const std::string& json, const std::string& tensors) {
  Case c;
  c.folder = folder;
  c.name = last_name(folder);
  c.json = Json::parse(c.file(json), folder + "/" + json);
  c.tensors = read_tensors(folder + "/" + tensors);
  return c;
}

std::unique_ptr<Engine> scalar_engine(const std::string& model,
                                      const std::vector<std::string>& settings,
                                      const std::vector<std::string>& overrides) {
  std::vector<std::string> all{"kernels.prefer=[scalar]", "threads.count=1",
                               "model.path=\"" + model + "\""};
  all.insert(all.end(), settings.begin(), settings.end());
  all.insert(all.end(), overrides.begin(), overrides.end());
  return std::make_unique<Engine>(load_settings("", all), linked_plugins());
}

std::vector<float> continue_greedily(Judge& judge, Engine& engine, Session& session,
                                     std::span<const float> last_logits,
                                     std::span<const int32_t> golden) {
  std::vector<float> logits(last_logits.begin(), last_logits.end()), all;
  for (const int32_t expected : golden) {
    all.insert(all.end(), logits.begin(), logits.end());
    const int32_t token = most_likely(logits);
    judge.require(token == expected, "the greedy path has token " + std::to_string(token) +
                                         " instead of " + std::to_string(expected));
    engine.feed(session, {&token, 1}, logits);
  }
  return all;
}

}  // namespace perdure::golden
