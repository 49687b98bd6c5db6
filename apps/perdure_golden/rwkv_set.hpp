// SPDX-License-Identifier: Apache-2.0

// A golden set laid out like tests/golden/rwkv (its README.md says what is in it): folders rand_*
// and tiny_* with a model and what the original computed, bin_* with rwkv.cpp's files, and
// tokenizer_world. Cases run through the public engine.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apps/perdure_golden/judge.hpp"

namespace perdure::golden {

struct RwkvCase {
  std::string name;
  std::function<Outcome()> run;  // Errors: whatever goes wrong, as Error
};

struct RwkvSetting {
  std::string folder;
  std::vector<std::string> overrides;  // the user's --set
  std::string vocabulary;  // all of RWKV World's, for the ids that need it; may be empty
};

// All cases, by name; none if the folder is no such set. Errors: Error naming a path that cannot be
// read.
std::vector<RwkvCase> rwkv_cases(const RwkvSetting& setting);

}  // namespace perdure::golden
