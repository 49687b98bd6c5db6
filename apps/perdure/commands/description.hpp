// SPDX-License-Identifier: Apache-2.0

// What the command line takes, as data: help, shell completion and the manual page are made of it.
#pragma once

#include <string>
#include <vector>

#include "apps/perdure/commands/commands.hpp"

namespace perdure::app {

struct OptionDescription {
  std::string name, letter;  // "tokens", "n"; the letter may be empty
  std::string value;         // what its argument is called; empty for a flag
  std::string help;

  // "-n, --tokens N".
  std::string forms() const;
};

struct CommandDescription {
  std::string name, usage, help;  // usage: the words after "perdure"
  std::vector<OptionDescription> options;
  std::vector<CommandDescription> commands;
};

// What `command` and its sub-commands take. Nothing is run: whatever parses arguments describes
// itself instead. One thread.
CommandDescription describe(const Command& command);

// For whatever parses arguments: where it is to describe itself, nullptr if it is to work.
CommandDescription* description_wanted();

}  // namespace perdure::app
