// SPDX-License-Identifier: Apache-2.0

// The commands of the program: each takes the words after its name and returns the exit status.
// Errors of all: UsageError, Error.
#pragma once

#include <string>
#include <vector>

namespace perdure::app {

using Arguments = std::vector<std::string>;

int run_generate(const Arguments& arguments);
int run_chat(const Arguments& arguments);
int run_compare(const Arguments& arguments);
int run_logits(const Arguments& arguments);
int run_tokenize(const Arguments& arguments);
int run_detokenize(const Arguments& arguments);
int run_convert(const Arguments& arguments);
int run_quantize(const Arguments& arguments);
int run_bench(const Arguments& arguments);
int run_memory(const Arguments& arguments);
int run_plugin(const Arguments& arguments);
int run_inspect(const Arguments& arguments);
int run_config(const Arguments& arguments);
int run_completion(const Arguments& arguments);
int run_version(const Arguments& arguments);

// A command, or a sub-command of one, with the line that the help shows.
struct Command {
  const char* name;
  const char* help;
  int (*run)(const Arguments& arguments);
};

// The whole program, errors excepted: `arguments` without the program's name.
int run_program(const Arguments& arguments);

}  // namespace perdure::app
