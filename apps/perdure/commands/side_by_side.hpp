// SPDX-License-Identifier: Apache-2.0

// One prompt under several configurations, live in columns of a terminal.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/perdure/chat/generator.hpp"

namespace perdure::app {

struct NamedEngine {
  std::string name;  // of its file; the whole path where two files have the same name
  std::unique_ptr<Engine> engine;
};

// An engine per configuration file, each with the overrides. Errors: as the constructor of Engine,
// as load_settings.
std::vector<NamedEngine> open_engines(const std::vector<std::string>& files,
                                      const std::vector<std::string>& overrides);

// `contexts`: files of --context, beside those of each configuration.
// Prints the prompt, and below it a column for each engine that grows by a token at a time until
// the rule ends it; Ctrl-C ends all. Columns are as wide as the terminal lets them be.
// Errors: UsageError if the terminal is too narrow.
void write_columns(const std::vector<NamedEngine>& engines, const std::string& prompt,
                   std::span<const std::string> contexts, const StopRule& rule, bool quiet);

}  // namespace perdure::app
