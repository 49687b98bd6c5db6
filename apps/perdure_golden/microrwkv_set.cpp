// SPDX-License-Identifier: Apache-2.0

// A golden set laid out like tests/golden/microrwkv (its README.md says what is in it): folders
// with a model, and for prompts of several lengths the logits at all places of the window and what
// follows greedily.
#include <filesystem>

#include "apps/perdure_golden/folder_case.hpp"

namespace perdure::golden {
namespace {

// Of the golden set's README: for prompts below this length, and for longer ones.
constexpr int64_t kLong = 256;
constexpr double kShortLogits = 1e-3, kLongLogits = 2e-3;

Outcome run_length(const std::string& folder, int64_t length,
                   const std::vector<std::string>& overrides) {
  const Case c = load_case(folder);
  Judge judge({.max_abs = length < kLong ? kShortLogits : kLongLogits});
  const std::string prefix = "T" + std::to_string(length) + ".";
  const auto engine = scalar_engine(folder + "/model.safetensors", {}, overrides);
  Session session = engine->new_session();
  std::vector<float> all;
  const Feed one[] = {{&session, c.tensor(prefix + "tokens").integers, Feed::Logits::kWindow}};
  engine->feed(one, [&](size_t, size_t, std::span<const float> logits) {
    all.insert(all.end(), logits.begin(), logits.end());
  });
  judge.logits("logits", all, c.tensor(prefix + "logits").reals);
  if (!c.has(prefix + "greedy")) return judge.verdict();
  const auto width = static_cast<size_t>(engine->spec().info.vocab_size);
  continue_greedily(judge, *engine, session, std::span(all).last(width),
                    c.tensor(prefix + "greedy").integers);
  return judge.verdict();
}

}  // namespace

std::vector<FolderCase> microrwkv_cases(const FolderSetting& setting) {
  std::vector<FolderCase> cases;
  for (const std::string& folder : subfolders(setting.folder)) {
    const std::string meta = folder + "/meta.json";
    if (!std::filesystem::exists(meta)) continue;
    const Json about = Json::parse(read_file(meta), meta);
    const Json* arch = about.find("arch");
    if (arch == nullptr || arch->text() != "microrwkv") continue;
    for (const Json& length : about.at("lens").list()) {
      const int64_t n = length.integer();
      cases.push_back(
          {last_name(folder) + "/T" + std::to_string(n),
           [=, overrides = setting.overrides] { return run_length(folder, n, overrides); }});
    }
  }
  return cases;
}

}  // namespace perdure::golden
