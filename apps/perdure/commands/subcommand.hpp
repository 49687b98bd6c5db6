// SPDX-License-Identifier: Apache-2.0

// Picks one of several commands by the first word.
#pragma once

#include <span>
#include <string>

#include "apps/perdure/commands/commands.hpp"

namespace perdure::app {

// `program`: the words before ("perdure memory"). Prints help if that is asked for (--help, help,
// help COMMAND).
// Errors: UsageError for no word or an unknown one, with the nearest command; and those of the
// command.
int run_subcommand(const std::string& program, const std::string& purpose,
                   std::span<const Command> commands, const Arguments& words);

}  // namespace perdure::app
