// SPDX-License-Identifier: Apache-2.0

// perdure chat: talks with a model whose memory is kept.
#include <fmt/format.h>

#include "apps/perdure/chat/chat_loop.hpp"
#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

std::string greeting(StoredSession& memory) {
  const StoredSnapshot& saved = memory.saved();
  if (saved.generation == 0)
    return fmt::format("new memory '{}'; /help says what else there is", memory.name());
  return fmt::format("memory '{}' goes on at token {}, saved {}; /help says what else there is",
                     memory.name(), grouped(memory.session().position()),
                     time_text(saved.saved_at));
}

}  // namespace

int run_chat(const Arguments& arguments) {
  std::string document, session;
  int64_t most_tokens = 512;
  bool again = false;
  CommandLine line(
      "chat [--session NAME] [-f FILE [--again]] [-n N]",
      "Talks. The memory of the session goes on from where it was saved, and is saved after every "
      "turn.\n"
      "Ctrl-C stops an answer; /quit or Ctrl-D ends the chat; /help lists the other commands.");
  line.add("session", &session, "the memory's name (store.session)", "NAME")
      .add("file,f", &document, "a text of any length that is read in first", "FILE")
      .add_flag("again", &again, "read FILE a second time if the session has read it")
      .add("tokens,n", &most_tokens, "the longest answer (512)");
  if (!line.parse(arguments)) return 0;
  require_at_least("--tokens", most_tokens, 1);
  if (document == "-")
    throw UsageError("-f - cannot be: chat reads your turns from standard input");
  Settings settings = line.settings();
  if (line.given("session")) settings.store.session = session;
  const std::string text = line.given("file") ? read_file(document) : "";
  Engine engine(settings, linked_plugins());
  engine.tokenizer();  // complains before a lock is taken
  catch_ending_signals();
  StoredSession memory(engine, settings.store.session);
  note(greeting(memory), line.quiet());
  const std::unique_ptr<LineInput> input = open_line_input(history_path());
  ChatLoop chat(engine, memory, *input, most_tokens, line.quiet());
  memory.keep_through(
      [&] {
        if (!text.empty()) chat.read_document(text, document, again);
        chat.run();
      },
      true);
  return 0;
}

}  // namespace perdure::app
