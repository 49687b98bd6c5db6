// SPDX-License-Identifier: Apache-2.0

// Cases of golden sets that are folders without an index: one function for each layout finds those
// of its own, which then run through the public engine.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apps/perdure_golden/golden_set.hpp"
#include "apps/perdure_golden/judge.hpp"
#include "core/engine/engine.hpp"

namespace perdure::golden {

struct FolderCase {
  std::string name;
  std::function<Outcome()> run;  // Errors: whatever goes wrong, as Error
  bool quantised = false;        // its weights
};

struct FolderSetting {
  std::string folder;
  std::vector<std::string> overrides;  // the user's --set
  std::string vocabulary;  // all of RWKV World's, for the ids that need it; may be empty
};

// Paths of the folders in a folder, by name; none if it is no folder.
std::vector<std::string> subfolders(const std::string& folder);
// "small" of "golden/microrwkv/small".
std::string last_name(const std::string& path);

// A case whose files are all in one folder, under these names. Errors: Error naming the path.
Case load_case(const std::string& folder, const std::string& json = "meta.json",
               const std::string& tensors = "golden.safetensors");

// An engine for a model's file: scalar kernels and one thread, then `settings`, then the user's
// overrides. Errors: as Engine.
std::unique_ptr<Engine> scalar_engine(const std::string& model,
                                      const std::vector<std::string>& settings,
                                      const std::vector<std::string>& overrides);

// Goes on with the likeliest token, from the logits of the last one that the session has read; it
// must be the golden one every time. Returns the logits that each was chosen by, [golden,
// vocab_size]. Errors: as Engine::feed.
std::vector<float> continue_greedily(Judge& judge, Engine& engine, Session& session,
                                     std::span<const float> last_logits,
                                     std::span<const int32_t> golden);

// All cases of a layout, by name; none if the folder has another. Errors: Error naming a path that
// cannot be read.
std::vector<FolderCase> rwkv_cases(const FolderSetting& setting);
std::vector<FolderCase> microrwkv_cases(const FolderSetting& setting);
std::vector<FolderCase> gguf_cases(const FolderSetting& setting);
std::vector<FolderCase> cepe_cases(const FolderSetting& setting);
std::vector<FolderCase> rmt_cases(const FolderSetting& setting);

}  // namespace perdure::golden
