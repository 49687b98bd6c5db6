// SPDX-License-Identifier: Apache-2.0

// perdure generate: the prompt, then what the model makes of it.
#include <fmt/format.h>
#include <unistd.h>

#include <optional>

#include "apps/perdure/chat/generator.hpp"
#include "apps/perdure/chat/stored_session.hpp"
#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/side_by_side.hpp"
#include "apps/perdure/files.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

struct Request {
  std::string prompt, file, session;
  bool from_file = false, again = false;
  std::vector<std::string> with;
  StopRule stop;

  std::string text() const { return from_file ? read_file(file) : prompt; }
};

// The prompt as tokens. A session that goes on gets no BOS; there the tokenizer's own leading space
// stands for the prompt's.
std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, std::string_view prompt,
                                   bool resumed) {
  if (!resumed) return tokenizer.encode(prompt, true, false);
  if (prompt.starts_with(' ') && prompt.size() > 1) prompt.remove_prefix(1);
  return tokenizer.encode(prompt, false, false);
}

void report(const Generator& generator, const Session& session, Stop stop, bool quiet) {
  if (stop == Stop::kFull)
    note(fmt::format("stopped: this session can have no more than {} tokens; use a strategy of "
                     "constant memory",
                     session.position()),
         quiet);
  note(fmt::format("read {} tokens at {:.1f} tokens/s, wrote {} at {:.1f} tokens/s; state {}",
                   grouped(generator.reading().tokens), generator.reading().per_second(),
                   grouped(generator.writing().tokens), generator.writing().per_second(),
                   bytes_text(static_cast<double>(session.state_bytes()))),
       quiet);
}

// `stored`: where the session lives, nullptr if it is not kept.
void generate(Engine& engine, Session& session, const Request& request, bool quiet,
              StoredSession* stored = nullptr) {
  const std::string prompt = request.text();
  std::optional<Document> document;
  if (stored != nullptr && request.from_file) document.emplace(session, prompt, request.again);
  const bool resumed = document ? !document->starts() : session.position() > 0;
  if (resumed && prompt.empty())
    throw UsageError("memory '" + request.session +
                     "' goes on from a prompt; give one with -p or -f");
  const Tokenizer& tokenizer = engine.tokenizer();
  const std::vector<int32_t> tokens = encode_prompt(tokenizer, prompt, resumed);
  const int64_t before = document ? document->done(std::ssize(tokens)) : 0;
  if (before == std::ssize(tokens))
    throw UsageError(fmt::format("memory '{}' has read {} before; --again reads it a second time",
                                 request.session, request.file));
  Generator generator(engine, session);
  if (document)
    generator.set_checkpoint(stored->checkpoint(*document, std::ssize(tokens)));
  else if (stored != nullptr)
    generator.set_checkpoint(stored->checkpoint());
  Stop stop = Stop::kInterrupted;
  const bool whole =
      generator.read(std::span(tokens).subspan(static_cast<size_t>(before)), "reading", quiet);
  if (document) {
    document->set_done(before + generator.reading().tokens, std::ssize(tokens));
    generator.set_checkpoint(stored->checkpoint());
  }
  print(prompt);
  flush();
  if (!whole)
    note(fmt::format("read {} of {} tokens, then {} came",
                     grouped(before + generator.reading().tokens),
                     grouped(static_cast<int64_t>(tokens.size())), interrupt_name()),
         quiet);
  if (whole) {
    TokenPrinter printer(tokenizer, tokens.back());
    stop = generator.write(request.stop, [&](int32_t token) { printer.print(token); });
    printer.finish();
  }
  if (isatty(STDOUT_FILENO) != 0) print("\n");
  flush();
  report(generator, session, stop, quiet);
}

void check(const Request& request, const CommandLine& line) {
  require_at_least("--tokens", request.stop.max_tokens, 0);
  if (line.given("prompt") && line.given("file"))
    throw UsageError("-p and -f both give a prompt; use one of them");
  if (request.with.empty()) return;
  if (line.given("config"))
    throw UsageError("-c and --with both give configurations; name all of them by --with");
  if (line.given("session"))
    throw UsageError("--session goes on from one memory; it cannot be given together with --with");
}

// One text under every configuration of --with.
void compare_live(const Request& request, const CommandLine& line) {
  const std::vector<NamedEngine> engines = open_engines(request.with, line.overrides());
  const std::string prompt = request.text();
  if (isatty(STDOUT_FILENO) != 0) {
    catch_interrupts();
    write_columns(engines, prompt, request.stop, line.quiet());
    return;
  }
  catch_interrupts();
  Request one = request;
  one.prompt = prompt;
  one.from_file = false;
  for (const NamedEngine& named : engines) {
    print(fmt::format("== {} ==\n", named.name));
    Session session = named.engine->new_session();
    generate(*named.engine, session, one, line.quiet());
    print("\n");
    if (interrupted()) return;
  }
}

}  // namespace

int run_generate(const Arguments& arguments) {
  Request request;
  CommandLine line(
      "generate [-p TEXT | -f FILE] [-n N] [--session NAME | --with FILE ...]",
      "Prints the prompt and then its continuation; nothing else goes to standard output.\n"
      "Without a prompt the text starts from nothing (BOS).");
  line.add("prompt,p", &request.prompt, "the text to go on with")
      .add("file,f", &request.file,
           "read the prompt from a file of any length; - is standard input", "FILE")
      .add_flag("again", &request.again, "read FILE a second time if the session has read it")
      .add("tokens,n", &request.stop.max_tokens, "write at most N tokens (256)")
      .add_flag("ignore-eos", &request.stop.ignore_eos, "do not stop where the model ends the text")
      .add("session", &request.session,
           "go on from this memory of the store, and save it at the end", "NAME")
      .add("with", &request.with,
           "go on under this configuration; repeated: under each, side by side on a terminal",
           "FILE");
  if (!line.parse(arguments)) return 0;
  check(request, line);
  request.from_file = line.given("file");
  if (!request.with.empty()) {
    compare_live(request, line);
    return 0;
  }
  Engine engine(line.settings(), linked_plugins());
  if (!line.given("session")) {
    catch_interrupts();
    Session session = engine.new_session();
    generate(engine, session, request, line.quiet());
    return 0;
  }
  request.stop.read_last = true;
  catch_ending_signals();
  StoredSession stored(engine, request.session);
  stored.keep_through([&] { generate(engine, stored.session(), request, line.quiet(), &stored); },
                      line.quiet());
  return 0;
}

}  // namespace perdure::app
