// SPDX-License-Identifier: Apache-2.0

// Which command is meant.
#include <fmt/format.h>

#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/subcommand.hpp"
#include "apps/perdure/terminal/output.hpp"

namespace perdure::app {
namespace {

constexpr Command kCommands[] = {
    {"generate", "goes on with a text", run_generate},
    {"chat", "talks, with a memory that is kept", run_chat},
    {"compare", "measures several configurations side by side", run_compare},
    {"logits", "logits of given tokens, as safetensors", run_logits},
    {"tokenize", "text to token ids", run_tokenize},
    {"detokenize", "token ids to text", run_detokenize},
    {"bench", "speed, and how far it is from what the machine can do", run_bench},
    {"memory", "what the store keeps: list, inspect, verify, export, import, remove", run_memory},
    {"plugin", "which plugins are loaded, and why not", run_plugin},
    {"inspect", "what is in a model; its graph; the plan it runs by", run_inspect},
    {"config", "the configuration that holds", run_config},
};

constexpr const char* kPurpose =
    "Runs language models over long and endless text; one YAML file picks the strategy, the "
    "kernels,\n"
    "the threads and the store.";

}  // namespace

int run_program(const Arguments& arguments) {
  if (!arguments.empty() && arguments[0] == "--version") {
    print("perdure " PERDURE_VERSION "\n");
    return 0;
  }
  return run_subcommand("perdure", kPurpose, kCommands, arguments);
}

}  // namespace perdure::app
