// SPDX-License-Identifier: Apache-2.0

// Shell scripts and the manual page, as text made of what the commands take. Pure.
#pragma once

#include <span>
#include <string>

#include "apps/perdure/commands/description.hpp"

namespace perdure::app {

// A completion script for bash, or for zsh. Words that are no commands or options are file names.
std::string bash_completion(std::span<const CommandDescription> commands);
std::string zsh_completion(std::span<const CommandDescription> commands);

// perdure(1) in roff. `version`: for its foot.
std::string manual_page(std::span<const CommandDescription> commands, const std::string& version);

}  // namespace perdure::app
