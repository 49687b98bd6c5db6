// SPDX-License-Identifier: Apache-2.0

// perdure chat: a conversation whose session is stored.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

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
namespace {

struct Request {
  std::string document, session;
  std::vector<std::string> contexts;
  bool again = false;
  StopRule rule{.max_tokens = 512};
};

void add_options(CommandLine& line, Request& request) {
  line.add("session", &request.session, "the session's name (store.session)", "NAME")
      .add("file,f", &request.document, "read this text, of any length, before the first turn",
           "FILE")
      .add_flag("again", &request.again, "read FILE a second time if the session has read it")
      .add("context", &request.contexts,
           "a text that the model consults, in chunks of attention.chunk tokens; may be repeated",
           "FILE")
      .add("tokens,n", &request.rule.max_tokens, "end an answer after N tokens (512)")
      .add("stop", &request.rule.texts, "end an answer before this text; may be repeated", "TEXT")
      .add_sampling()
      .add_model_word();
}

void check(const Request& request, const CommandLine& line) {
  require_at_least("--tokens", request.rule.max_tokens, 1);
  require_stop_texts(request.rule);
  require_beside("--again", request.again, "-f", line.given("file"));
  if (request.document == "-")
    throw UsageError("-f - is not possible: chat reads your turns from standard input");
  if (std::ranges::count(request.contexts, "-") > 0)
    throw UsageError("--context - is not possible: chat reads your turns from standard input");
}

ChatTemplate template_of(const Engine& engine, bool quiet) {
  ChatTemplate chosen = choose_chat_template(engine.settings());
  if (chosen.is_guess)
    note("the model brings no chat template; turns are written as " + chosen.name +
             "'s (chat.template)",
         quiet);
  return chosen;
}

// Errors: UsageError if the template refuses the system prompt.
ChatWriter writer_of(const Engine& engine, bool quiet) {
  ChatWriter writer(engine.tokenizer(), template_of(engine, quiet));
  writer.turn({.system = engine.settings().chat.system, .user = "Hello"});
  return writer;
}

// `text`: of the document, "" if there is none.
void converse(Engine& engine, const Request& request, const std::string& text, TextReader& reader,
              bool quiet) {
  const ChatWriter writer = writer_of(engine, quiet);
  catch_ending_signals();
  StoredSession memory(engine, engine.settings().store.session);
  note(greeting(memory), quiet);
  const std::unique_ptr<LineInput> input = open_line_input(history_path(), reader);
  ChatLoop chat(engine, memory, *input, reader, writer, request.rule, quiet);
  memory.keep_through(
      [&] {
        if (!request.contexts.empty()) chat.read_contexts(request.contexts);
        if (!text.empty()) chat.read_document(text, request.document, request.again);
        chat.run();
      },
      quiet);
}

}  // namespace

int run_chat(const Arguments& arguments) {
  Request request;
  CommandLine line(
      "chat [MODEL] [--session NAME] [-f FILE [--again]] [-n N]",
      "Holds a conversation. The session continues where it was saved, and is saved after every "
      "turn.\n"
      "Ctrl-C stops an answer; /quit or Ctrl-D ends the chat; /help lists the other commands.");
  add_options(line, request);
  if (!line.parse(arguments)) return 0;
  check(request, line);
  Settings settings = line.model_settings();
  if (line.given("session")) settings.store.session = request.session;
  TextReader reader(settings, line.quiet());
  const std::string text = line.given("file") ? reader.read(request.document) : "";
  refuse_ensemble(settings, "chat");
  Engine engine(settings, linked_plugins());
  engine.tokenizer();  // complains before a lock is taken
  request.contexts = context_files(engine, request.contexts);
  if (!request.contexts.empty()) context_stream(engine);
  note_method(engine, line.quiet());
  converse(engine, request, text, reader, line.quiet());
  return 0;
}

}  // namespace perdure::app
