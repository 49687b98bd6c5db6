// SPDX-License-Identifier: Apache-2.0

// A golden set laid out like tests/golden/cepe (its README.md says what is in it): folders with a
// model as CEPE saves it, and what it gives for texts with and without contexts.
#include <algorithm>
#include <array>
#include <filesystem>

#include "apps/perdure_golden/run_cepe.hpp"

namespace perdure::golden {
namespace {

constexpr std::array kClasses = {"LlamaForCausalContextLM", "LlamaForMLM",
                                 "LlamaForReplugCausalLM"};

Outcome run_case(const std::string& folder, const std::string& name,
                 const std::vector<std::string>& overrides) {
  const Case golden = load_case(folder, "config.json", "io.safetensors");
  if (name == kClasses[0]) return run_contexts(golden, overrides);
  if (name == kClasses[1]) return run_masked(golden, overrides);
  return run_replug(golden, overrides);
}

// The class that saved a folder; empty if it is none of CEPE's.
std::string class_of(const std::string& folder) {
  const std::string path = folder + "/config.json";
  if (!std::filesystem::exists(path) || !std::filesystem::exists(folder + "/io.safetensors"))
    return {};
  const Json config = Json::parse(read_file(path), path);
  const Json* names = config.find("architectures");
  const auto* list = names == nullptr ? nullptr : std::get_if<Json::List>(&names->content());
  const std::string name = list == nullptr || list->empty() ? "" : list->front().scalar_text();
  return std::ranges::count(kClasses, name) > 0 ? name : "";
}

}  // namespace

std::vector<FolderCase> cepe_cases(const FolderSetting& setting) {
  std::vector<FolderCase> cases;
  for (const std::string& folder : subfolders(setting.folder))
    if (const std::string name = class_of(folder); !name.empty())
      cases.push_back({last_name(folder), [=, overrides = setting.overrides] {
                         return run_case(folder, name, overrides);
                       }});
  return cases;
}

}  // namespace perdure::golden
