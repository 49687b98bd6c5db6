// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/commands/completion.hpp"

#include <fmt/format.h>

#include <functional>

namespace perdure::app {
namespace {

// Calls `visit` with every command and the words that lead to it, sub-commands after theirs.
void visit_all(
    std::span<const CommandDescription> commands, const std::string& before,
    const std::function<void(const std::string& path, const CommandDescription&)>& visit) {
  for (const CommandDescription& command : commands) {
    const std::string path = before + command.name;
    visit(path, command);
    visit_all(command.commands, path + " ", visit);
  }
}

std::string words_of(const CommandDescription& command) {
  std::string words;
  for (const CommandDescription& sub : command.commands) words += sub.name + " ";
  for (const OptionDescription& option : command.options) words += "--" + option.name + " ";
  if (!words.empty()) words.pop_back();
  return words;
}

std::string names_of(std::span<const CommandDescription> commands) {
  std::string names = "--help --version help";
  for (const CommandDescription& command : commands) names += " " + command.name;
  return names;
}

// `case` arms of a shell that set `variable` to the words that may follow "perdure PATH".
std::string case_arms(std::span<const CommandDescription> commands, const char* variable) {
  std::string arms = fmt::format("    '') {}='{}' ;;\n", variable, names_of(commands));
  visit_all(commands, "", [&](const std::string& path, const CommandDescription& command) {
    arms += fmt::format("    '{}') {}='{}' ;;\n", path, variable, words_of(command));
  });
  return arms;
}

// roff takes a line that begins with a dot or quote for a request, and a backslash for an escape.
std::string roff(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const bool first = result.empty() || result.back() == '\n';
    if (first && (c == '.' || c == '\'')) result += "\\&";
    if (c == '\\')
      result += "\\e";
    else if (c == '-')
      result += "\\-";
    else
      result += c;
  }
  return result;
}

std::string roff_option(const OptionDescription& option) {
  const std::string letter = option.letter.empty() ? "" : "-" + option.letter + ", ";
  const std::string value = option.value.empty() ? "" : " " + option.value;
  return fmt::format(".TP\n.B {}\n{}\n", roff(letter + "--" + option.name + value),
                     roff(option.help));
}

}  // namespace

std::string bash_completion(std::span<const CommandDescription> commands) {
  return "# bash completion for perdure; made by `perdure completion bash`\n"
         "_perdure() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} path= words= word\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    [[ $word == -* ]] && break\n"
         "    path+=\"${path:+ }$word\"\n"
         "  done\n"
         "  while :; do\n"
         "    case $path in\n" +
         case_arms(commands, "words") +
         "    *) [[ $path == *' '* ]] && path=${path% *} || path=; continue ;;\n"
         "    esac\n"
         "    break\n"
         "  done\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  [[ ${#COMPREPLY[@]} = 0 && $current != -* ]] && COMPREPLY=($(compgen -f -- "
         "\"$current\"))\n"
         "}\n"
         "complete -o filenames -F _perdure perdure\n";
}

std::string zsh_completion(std::span<const CommandDescription> commands) {
  return "#compdef perdure\n"
         "# zsh completion for perdure; made by `perdure completion zsh`\n"
         "_perdure() {\n"
         "  local path_words= words_here= word\n"
         "  for word in ${words[2,CURRENT-1]}; do\n"
         "    [[ $word == -* ]] && break\n"
         "    path_words+=\"${path_words:+ }$word\"\n"
         "  done\n"
         "  while :; do\n"
         "    case $path_words in\n" +
         case_arms(commands, "words_here") +
         "    *) [[ $path_words == *' '* ]] && path_words=${path_words% *} || path_words=; "
         "continue ;;\n"
         "    esac\n"
         "    break\n"
         "  done\n"
         "  compadd -- ${=words_here}\n"
         "  _files\n"
         "}\n"
         "_perdure \"$@\"\n";
}

std::string manual_page(std::span<const CommandDescription> commands, const std::string& version) {
  std::string page = fmt::format(
      ".TH PERDURE 1 \"\" \"perdure {}\" \"User Commands\"\n.SH NAME\n"
      "perdure \\- run language models over long and endless text\n.SH SYNOPSIS\n"
      ".B perdure\n.I COMMAND\n[\\fIOPTION\\fR ...]\n.SH COMMANDS\n",
      roff(version));
  visit_all(commands, "", [&](const std::string&, const CommandDescription& command) {
    page += fmt::format(".SS perdure {}\n{}\n", roff(command.usage), roff(command.help));
    for (const OptionDescription& option : command.options) page += roff_option(option);
  });
  return page +
         ".SH EXIT STATUS\n0 success; 1 failure; 2 wrong usage; 128 + N ended by signal N.\n"
         ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nno colour in tables\n"
         ".TP\n.B PERDURE_PLUGIN_PATH\nfolders and files of plugins\n"
         ".TP\n.B XDG_DATA_HOME, XDG_STATE_HOME, XDG_CACHE_HOME\n"
         "where sessions, the history of lines and caches are kept\n";
}

}  // namespace perdure::app
