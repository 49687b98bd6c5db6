// SPDX-License-Identifier: Apache-2.0

// Which command is meant.
#include <fmt/format.h>

#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/completion.hpp"
#include "apps/perdure/commands/subcommand.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "apps/perdure/version.hpp"

namespace perdure::app {
namespace {

constexpr Command kCommands[] = {
    {"generate", "continue a text", run_generate},
    {"chat", "hold a conversation in a stored session", run_chat},
    {"compare", "measure several configurations side by side", run_compare},
    {"logits", "write the logits of given tokens as safetensors", run_logits},
    {"tokenize", "convert text to token ids", run_tokenize},
    {"detokenize", "convert token ids to text", run_detokenize},
    {"convert", "write a model in another format", run_convert},
    {"quantize", "write a model as GGUF with weights of another type", run_quantize},
    {"bench", "measure speed, and compare it with the machine's bandwidth", run_bench},
    {"memory", "list, inspect, verify, export, import and remove stored sessions", run_memory},
    {"plugin", "show which plugins are loaded, and why others are not", run_plugin},
    {"inspect", "show a model's contents, its graph and its plan", run_inspect},
    {"config", "print the effective configuration", run_config},
    {"completion", "print a completion script for a shell, or the manual page", run_completion},
    {"version", "print the version, and for which machines it was built", run_version},
};

std::vector<CommandDescription> all_commands() {
  std::vector<CommandDescription> commands;
  for (const Command& command : kCommands) commands.push_back(describe(command));
  return commands;
}

constexpr const char* kPurpose =
    "Runs language models over long and endless text. A YAML file selects attention strategy,\n"
    "kernels, threads and store; a model alone works too: perdure chat MODEL.";

}  // namespace

int run_completion(const Arguments& arguments) {
  std::vector<std::string> words;
  CommandLine line("completion bash | zsh | man",
                   "Prints a completion script for bash or zsh, or the manual page perdure(1).");
  line.add_words("shell", &words, 1);
  if (!line.parse(arguments)) return 0;
  const std::string shell = words.empty() ? "" : words[0];
  if (shell == "bash")
    print(bash_completion(all_commands()));
  else if (shell == "zsh")
    print(zsh_completion(all_commands()));
  else if (shell == "man")
    print(manual_page(all_commands(), PERDURE_VERSION));
  else
    throw UsageError("for which shell? perdure completion bash | zsh, or man for the manual page");
  return 0;
}

int run_version(const Arguments& arguments) {
  CommandLine line(
      "version",
      "Prints version, commit, compiler, and the instruction sets of the kernels and of "
      "this machine.");
  line.add_json();
  if (!line.parse(arguments)) return 0;
  print(line.json() ? version_json() : version_text());
  return 0;
}

int run_program(const Arguments& arguments) {
  if (!arguments.empty() && arguments[0] == "--version")
    return run_version({arguments.begin() + 1, arguments.end()});
  return run_subcommand("perdure", kPurpose, kCommands, arguments);
}

}  // namespace perdure::app
