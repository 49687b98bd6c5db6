// SPDX-License-Identifier: Apache-2.0

// A model named in short: its folder for its file, and no word about the tokenizer beside it.
#pragma once

#include <string>

#include "core/config/settings.hpp"
#include "core/engine/engine.hpp"

namespace perdure::app {

// A name like hf:owner/name becomes the folder or file that it stands for. A folder as model.path
// becomes the one model in it, unless it has a config.json and so is a model
// itself; a tokenizer beside the model becomes model.tokenizer if none is given.
// Errors: UsageError for a folder without a model or with several, naming them.
void complete_model(Settings& settings);

// Says which part of the model's extend_method is not applied (all but its memory layers), and
// note_untrained_memory.
void note_method(const Engine& engine, bool quiet);

// Says behind `before` that the configuration's memory is untrained, if it is.
void note_untrained_memory(const Settings& settings, const std::string& before, bool quiet);

// Errors: UsageError if the configuration has an ensemble, which `what` cannot use.
void refuse_ensemble(const Settings& settings, const std::string& what);

}  // namespace perdure::app
