// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/commands/description.hpp"

#include <utility>

namespace perdure::app {
namespace {

CommandDescription* g_wanted = nullptr;

}  // namespace

std::string OptionDescription::forms() const {
  return (letter.empty() ? "    " : "-" + letter + ", ") + "--" + name +
         (value.empty() ? "" : " " + value);
}

CommandDescription* description_wanted() { return g_wanted; }

CommandDescription describe(const Command& command) {
  CommandDescription description{.name = command.name, .usage = command.name, .help = command.help};
  CommandDescription* const outer = std::exchange(g_wanted, &description);
  command.run({});
  g_wanted = outer;
  return description;
}

}  // namespace perdure::app
