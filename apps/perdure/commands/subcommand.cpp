// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/commands/subcommand.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apps/perdure/commands/description.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/config/settings.hpp"

namespace perdure::app {
namespace {

void print_help(const std::string& program, const std::string& purpose,
                std::span<const Command> commands) {
  std::string text = fmt::format("usage: {} COMMAND ...\n\n{}\n\n", program, purpose);
  for (const Command& command : commands)
    text += fmt::format("  {:<12} {}\n", command.name, command.help);
  print(text + fmt::format("\n{0} COMMAND --help, or {0} help COMMAND, says more.\n", program));
}

// "help memory list" -> "memory list --help".
Arguments without_help(const Arguments& arguments) {
  if (arguments.empty() || arguments[0] != "help") return arguments;
  Arguments others(arguments.begin() + 1, arguments.end());
  others.emplace_back("--help");
  return others;
}

}  // namespace

int run_subcommand(const std::string& program, const std::string& purpose,
                   std::span<const Command> commands, const Arguments& words) {
  if (CommandDescription* wanted = description_wanted()) {
    for (const Command& command : commands) wanted->commands.push_back(describe(command));
    wanted->usage += " COMMAND";
    return 0;
  }
  std::vector<std::string> names;
  for (const Command& command : commands) names.emplace_back(command.name);
  const Arguments arguments = without_help(words);
  if (arguments.empty())
    throw UsageError(fmt::format("no command is given; see {} --help", program));
  const std::string& word = arguments[0];
  if (word == "--help" || word == "-h") {
    print_help(program, purpose, commands);
    return 0;
  }
  const auto found = std::find(names.begin(), names.end(), word);
  if (found == names.end()) {
    const std::string near = nearest(word, names);
    throw UsageError(
        fmt::format("unknown command '{}'; {}", program + " " + word,
                    near.empty() ? "see " + program + " --help" : "did you mean '" + near + "'?"));
  }
  return commands[static_cast<size_t>(found - names.begin())].run(
      {arguments.begin() + 1, arguments.end()});
}

}  // namespace perdure::app
