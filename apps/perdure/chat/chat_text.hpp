// SPDX-License-Identifier: Apache-2.0

// The words of a conversation: how a turn is written for the model, and what a line that the user
// typed means. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace perdure::app {

// A turn as llama2's chat models were trained on it. `system` is empty except in the first turn;
// `time`, if not empty, goes before the user's words: the model then knows when they were said.
std::string render_turn(std::string_view system, std::string_view user, std::string_view time);

// "(2026-11-20 11:34:56)  User: ".
std::string user_prompt(std::string_view time);

enum class ChatInput { kTalk, kNothing, kHelp, kSave, kReset, kMemory, kStats, kQuit, kUnknown };

// What a line means: commands start with '/', blank lines are nothing.
ChatInput classify(std::string_view line);

// The sentence for kUnknown, with the nearest command.
std::string unknown_command(std::string_view line);

std::string chat_help();

}  // namespace perdure::app
