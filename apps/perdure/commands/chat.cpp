// SPDX-License-Identifier: Apache-2.0

// perdure chat: a conversation whose session is stored.
#include <fmt/format.h>

#include <algorithm>

#include "apps/perdure/chat/chat_loop.hpp"
#include "apps/perdure/chat/contexts.hpp"
#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/model_files.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "apps/perdure/text_reader.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
int run_chat(const Arguments& arguments) {
  std::string document, session;
  std::vector<std::string> contexts;
  StopRule rule{.max_tokens = 512};
  bool again = false;
  CommandLine line(
      "chat [MODEL] [--session NAME] [-f FILE [--again]] [-n N]",
      "Holds a conversation. The session continues where it was saved, and is saved after every "
      "turn.\n"
      "Ctrl-C stops an answer; /quit or Ctrl-D ends the chat; /help lists the other commands.");
  line.add("session", &session, "the session's name (store.session)", "NAME")
      .add("file,f", &document, "read this text, of any length, before the first turn", "FILE")
      .add_flag("again", &again, "read FILE a second time if the session has read it")
      .add("context", &contexts,
           "a text that the model consults, in chunks of attention.chunk tokens; may be repeated",
           "FILE")
      .add("tokens,n", &rule.max_tokens, "end an answer after N tokens (512)")
      .add("stop", &rule.texts, "end an answer before this text; may be repeated", "TEXT")
      .add_sampling()
      .add_model_word();
  if (!line.parse(arguments)) return 0;
  require_at_least("--tokens", rule.max_tokens, 1);
  if (document == "-")
    throw UsageError("-f - is not possible: chat reads your turns from standard input");
  if (std::ranges::count(contexts, "-") > 0)
    throw UsageError("--context - is not possible: chat reads your turns from standard input");
  Settings settings = line.model_settings();
  if (line.given("session")) settings.store.session = session;
  TextReader reader(settings, line.quiet());
  const std::string text = line.given("file") ? reader.read(document) : "";
  refuse_ensemble(settings, "chat");
  Engine engine(settings, linked_plugins());
  engine.tokenizer();  // complains before a lock is taken
  contexts = context_files(engine, contexts);
  if (!contexts.empty()) context_stream(engine);
  note_method(engine, line.quiet());
  const ChatTemplate chosen = choose_chat_template(engine.settings());
  if (chosen.is_guess)
    note("the model brings no chat template; turns are written as " + chosen.name +
             "'s (chat.template)",
         line.quiet());
  const ChatWriter writer(engine.tokenizer(), chosen);
  writer.turn({.system = engine.settings().chat.system, .user = "Hello"});  // may be refused
  catch_ending_signals();
  StoredSession memory(engine, settings.store.session);
  note(greeting(memory), line.quiet());
  const std::unique_ptr<LineInput> input = open_line_input(history_path(), reader);
  ChatLoop chat(engine, memory, *input, reader, writer, rule, line.quiet());
  memory.keep_through(
      [&] {
        if (!contexts.empty()) chat.read_contexts(contexts);
        if (!text.empty()) chat.read_document(text, document, again);
        chat.run();
      },
      true);
  return 0;
}

}  // namespace perdure::app
