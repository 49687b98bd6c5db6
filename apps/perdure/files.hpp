// SPDX-License-Identifier: Apache-2.0

// Whole files in and out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/engine.hpp"

namespace perdure::app {

// The bytes of a file, or of standard input for "-". Errors: Error naming the path; UsageError if
// that is empty.
std::string read_file(const std::string& path);

// The rule for every file that a command writes: never one of `inputs`, which are being read ("-":
// standard input), under any of its names; an existing one only if `force`.
// Errors: UsageError naming the path.
void require_output(const std::string& path, bool force, std::span<const std::string> inputs);

// Everything that is read of a model: its files, its tokenizer, the JSON beside them, the state
// that sessions begin with.
std::vector<std::string> files_read(const Model& model, const Settings& settings);

// Token ids in decimal, separated by white space. `name` stands for the text in messages.
// Errors: Error with the byte offset of what is not a token id below `vocab_size`.
std::vector<int32_t> parse_tokens(std::string_view text, int64_t vocab_size,
                                  const std::string& name);

}  // namespace perdure::app
