// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/chat/chat_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "core/config/settings.hpp"

namespace perdure::app {
namespace {

struct ChatCommand {
  const char* word;
  ChatInput input;
  const char* argument;
  const char* help;  // nullptr: another word for a command
};

constexpr ChatCommand kCommands[] = {
    {"/help", ChatInput::kHelp, "", "show this text"},
    {"/undo", ChatInput::kUndo, "", "take back the last turn and its answer"},
    {"/regenerate", ChatInput::kRegenerate, "", "answer the last turn again (also /retry)"},
    {"/retry", ChatInput::kRegenerate, "", nullptr},
    {"/system", ChatInput::kSystem, "[TEXT]",
     "set the system prompt from the next turn on, or show it"},
    {"/file", ChatInput::kFile, "PATH", "send the text of a file as your turn"},
    {"/context", ChatInput::kContext, "PATH", "let the model consult the text of a file"},
    {"/forget", ChatInput::kForget, "N", "take chunk N of the contexts out, counted from 0"},
    {"/load", ChatInput::kLoad, "NAME", "save this session and continue another one"},
    {"/new", ChatInput::kNew, "NAME", "save this session and begin another one"},
    {"/save", ChatInput::kSave, "", "save the session now"},
    {"/reset", ChatInput::kReset, "", "start the session over; the old one is kept as NAME.1"},
    {"/memory", ChatInput::kMemory, "", "show what was read and where it is stored"},
    {"/stats", ChatInput::kStats, "", "show the speed of reading and writing"},
    {"/quit", ChatInput::kQuit, "", "end the chat, as Ctrl-D does; Ctrl-C only stops an answer"},
};

// The first word, in small letters.
std::string command_word(std::string_view text) {
  std::string word(text.substr(0, text.find_first_of(" \t\n")));
  for (char& c : word)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return word;
}

const ChatCommand* find_command(std::string_view word) {
  const auto found =
      std::ranges::find_if(kCommands, [&](const ChatCommand& c) { return word == c.word; });
  return found == std::end(kCommands) ? nullptr : found;
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string timed(std::string_view user, std::string_view time) {
  return time.empty() ? std::string(user) : fmt::format("({}) {}", time, user);
}

std::string user_prompt(std::string_view time) {
  return time.empty() ? "User: " : fmt::format("({})  User: ", time);
}

ChatLine parse_line(std::string_view line) {
  const std::string_view text = trimmed(line);
  if (text.empty()) return {};
  if (text.starts_with("//")) return {ChatInput::kTalk, std::string(text.substr(1))};
  if (!text.starts_with('/')) return {ChatInput::kTalk, std::string(text)};
  const std::string word = command_word(text);
  const std::string argument(trimmed(text.substr(word.size())));
  const ChatCommand* command = find_command(word);
  if (command == nullptr || (!argument.empty() && *command->argument == '\0'))
    return {ChatInput::kUnknown, std::string(text)};
  return {command->input, argument};
}

std::string unknown_command(std::string_view line) {
  const std::string word = command_word(trimmed(line));
  if (find_command(word) != nullptr)
    return fmt::format("{} takes no words after it (// begins a turn with /)", word);
  std::vector<std::string> words;
  for (const ChatCommand& command : kCommands) words.emplace_back(command.word);
  const std::string near = nearest(word, words);
  return fmt::format("{} is not a command; {} (// begins a turn with /)", word,
                     near.empty() ? "see /help" : "did you mean " + near + "?");
}

std::string chat_help() {
  std::string text;
  for (const ChatCommand& command : kCommands)
    if (command.help != nullptr)
      text += fmt::format("{:<16} {}\n", fmt::format("{} {}", command.word, command.argument),
                          command.help);
  return text +
         "A line that ends in \\ continues on the next one, and pasted lines are one turn.\n"
         "// begins a turn with a slash.\n";
}

}  // namespace perdure::app
