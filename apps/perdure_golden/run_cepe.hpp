// SPDX-License-Identifier: Apache-2.0

// The numbers of the golden cases of CEPE, one function for each class of the original.
#pragma once

#include <string>
#include <vector>

#include "apps/perdure_golden/folder_case.hpp"

namespace perdure::golden {

// Of the golden set's README, without what it allows beside in parts of the value.
constexpr double kCepeTolerance = 1e-4;

// A llama with contexts, all runs of the case, with keys and values of contexts and without.
// Errors: as Engine, and for what is missing; so do the others.
Outcome run_contexts(const Case& golden, const std::vector<std::string>& overrides);
// The encoder alone: whole texts as one window.
Outcome run_masked(const Case& golden, const std::vector<std::string>& overrides);
// RePlug: the text behind each passage, and the mixture of what the model then expects.
Outcome run_replug(const Case& golden, const std::vector<std::string>& overrides);

}  // namespace perdure::golden
