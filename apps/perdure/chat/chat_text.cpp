// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/chat/chat_text.hpp"

#include <fmt/format.h>

#include <vector>

#include "core/config/settings.hpp"

namespace perdure::app {
namespace {

struct ChatCommand {
  const char* word;
  ChatInput input;
  const char* help;
};

constexpr ChatCommand kCommands[] = {
    {"/help", ChatInput::kHelp, "this text"},
    {"/save", ChatInput::kSave, "saves the memory now"},
    {"/reset", ChatInput::kReset, "forgets everything; what is saved stays until the next save"},
    {"/memory", ChatInput::kMemory, "what is remembered, and where it is kept"},
    {"/stats", ChatInput::kStats, "how fast it reads and writes"},
    {"/quit", ChatInput::kQuit, "ends the chat, as Ctrl-D does; Ctrl-C only stops an answer"},
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

std::string timed(std::string_view user, std::string_view time) {
  return time.empty() ? std::string(user) : fmt::format("({}) {}", time, user);
}

std::string user_prompt(std::string_view time) { return fmt::format("({})  User: ", time); }

ChatInput classify(std::string_view line) {
  const std::string_view text = trimmed(line);
  if (text.empty()) return ChatInput::kNothing;
  if (!text.starts_with('/')) return ChatInput::kTalk;
  for (const ChatCommand& command : kCommands)
    if (text == command.word) return command.input;
  return ChatInput::kUnknown;
}

std::string unknown_command(std::string_view line) {
  std::vector<std::string> words;
  for (const ChatCommand& command : kCommands) words.emplace_back(command.word);
  const std::string word(trimmed(line));
  const std::string near = nearest(word, words);
  return fmt::format("{} is no command; {}", word,
                     near.empty() ? "see /help" : "did you mean " + near + "?");
}

std::string chat_help() {
  std::string text;
  for (const ChatCommand& command : kCommands)
    text += fmt::format("{:<8} {}\n", command.word, command.help);
  return text;
}

}  // namespace perdure::app
