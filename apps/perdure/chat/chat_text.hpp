// SPDX-License-Identifier: Apache-2.0

// The words of a conversation: what a line that the user typed means, and what the user sees. How a
// turn is written for the model is a chat template's. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace perdure::app {

// The user's words for the model, behind `time` if it is not empty: the model then knows when they
// were said.
std::string timed(std::string_view user, std::string_view time);

// "(2026-11-20 11:34:56)  User: ", or "User: " if `time` is empty.
std::string user_prompt(std::string_view time);

// Without the white space around it, as chat templates want the words of a user.
std::string_view trimmed(std::string_view text);

enum class ChatInput {
  kTalk,
  kNothing,
  kHelp,
  kSave,
  kReset,
  kUndo,
  kRegenerate,
  kSystem,
  kFile,
  kContext,
  kForget,
  kLoad,
  kNew,
  kMemory,
  kStats,
  kQuit,
  kUnknown
};

// What a turn that was typed means, with what the command is about, or the words of kTalk.
struct ChatLine {
  ChatInput input = ChatInput::kNothing;
  std::string text;
};

// Commands start with '/' and may be written in capitals, words that start with '/' with '//';
// blank lines are nothing.
ChatLine parse_line(std::string_view line);

// The sentence for kUnknown, with the nearest command; or that it takes no more words.
std::string unknown_command(std::string_view line);

std::string chat_help();

}  // namespace perdure::app
