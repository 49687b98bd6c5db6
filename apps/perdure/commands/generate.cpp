// SPDX-License-Identifier: Apache-2.0

// perdure generate: the prompt and its continuation.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "apps/perdure/chat/contexts.hpp"
#include "apps/perdure/chat/generator.hpp"
#include "apps/perdure/chat/session_notes.hpp"
#include "apps/perdure/chat/stored_session.hpp"
#include "apps/perdure/commands/command_line.hpp"
#include "apps/perdure/commands/commands.hpp"
#include "apps/perdure/commands/model_files.hpp"
#include "apps/perdure/commands/side_by_side.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "apps/perdure/text_reader.hpp"
#include "core/base/json/json_write.hpp"
#include "plugins/linked_plugins.hpp"

namespace perdure::app {
namespace {

struct Request {
  std::string prompt, file, session;
  bool from_file = false, again = false, json = false;
  std::vector<std::string> with, contexts;
  StopRule stop;

  std::string text(const Settings& settings, bool quiet) const {
    TextReader reader(settings, quiet);
    return from_file ? reader.read(file) : reader.take(prompt, "the prompt");
  }
};

const char* stop_name(Stop stop) {
  switch (stop) {
    case Stop::kLimit:
      return "length";
    case Stop::kEndToken:
      return "end";
    case Stop::kText:
      return "stop_text";
    case Stop::kInterrupted:
      return "interrupted";
    case Stop::kFull:
      return "full";
  }
  return "";
}

// One text: the prompt is read, the continuation written.
class TextRun {
 public:
  // `stored`: where the session lives, nullptr if it is not kept. `ensemble`: whose first session
  // it is, nullptr if it is alone. All is borrowed.
  TextRun(Engine& engine, Session& session, const Request& request, bool quiet,
          StoredSession* stored = nullptr, Ensemble* ensemble = nullptr)
      : engine_(engine),
        session_(session),
        request_(request),
        quiet_(quiet),
        stored_(stored),
        ensemble_(ensemble),
        contexts_(context_files(engine, request.contexts)),
        prompt_(request.text(engine.settings(), quiet)),
        generator_(engine, session) {
    if (ensemble != nullptr) generator_.set_ensemble(*ensemble);
    if (stored != nullptr && request.from_file && !prompt_.empty())
      document_.emplace(session, engine.tokenizer(), prompt_, request.again);
  }

  void run() {
    const bool whole = read();
    try {
      if (whole) write_behind_prompt();
    } catch (const OutputError&) {
      remember();
      throw;
    }
    if (whole) remember();
    if (request_.json)
      print(json_text(result()) + "\n");
    else if (whole && (isatty(STDOUT_FILENO) != 0 || (!quiet_ && errors_follow_output())))
      print("\n");
    flush();
    if (stored_ == nullptr) engine_.model().require_unchanged();  // saving asks for it, too
    report();
  }

 private:
  // These are false if a signal stopped them.
  bool read();
  bool read_contexts(std::span<const int32_t> tokens);
  bool read_document();
  bool read_prompt(bool begins);
  void resume();
  void write_behind_prompt();
  void write();
  // How a run without a prompt will continue.
  void remember();
  void show(const std::string& text);
  void report() const;
  Json result() const;
  int64_t state_bytes() const {
    return ensemble_ != nullptr ? ensemble_->state_bytes() : session_.state_bytes();
  }

  Engine& engine_;
  Session& session_;
  const Request& request_;
  bool quiet_;
  StoredSession* stored_;
  Ensemble* ensemble_;
  std::vector<std::string> contexts_;
  std::string prompt_, written_;
  std::optional<Document> document_;
  Generator generator_;
  Stop stop_ = Stop::kInterrupted;
};

bool TextRun::read() {
  const bool begins = session_.position() == 0;
  if (prompt_.empty() && !begins) {
    resume();
    return read_contexts({});
  }
  forget_read_ahead(session_);
  return document_ ? read_document() : read_prompt(begins);
}

bool TextRun::read_document() {
  if (document_->rest().empty())
    throw UsageError(fmt::format("session '{}' has read {} before; --again reads it a second time",
                                 request_.session, request_.file));
  if (!read_contexts(document_->tokens())) return false;
  return stored_->read_document(generator_, *document_, request_.file, quiet_);
}

bool TextRun::read_prompt(bool begins) {
  const std::vector<int32_t> tokens = encode_part(engine_.tokenizer(), prompt_, begins);
  if (!read_contexts(tokens)) return false;
  if (stored_ != nullptr) generator_.set_checkpoint(stored_->checkpoint());
  const bool whole = generator_.read(tokens, "reading", quiet_);
  if (!whole)
    note(fmt::format("read {} of {} tokens, then {} came", grouped(generator_.reading().tokens),
                     grouped(std::ssize(tokens)), interrupt_name()),
         quiet_);
  return whole;
}

bool TextRun::read_contexts(std::span<const int32_t> tokens) {
  if (contexts_.empty()) return true;
  const bool whole = app::read_contexts(engine_, session_, contexts_, tokens, quiet_,
                                        stored_ != nullptr ? stored_->checkpoint() : Checkpoint());
  if (stored_ != nullptr) stored_->mark_changed();
  if (!whole) note(fmt::format("{} came while contexts were read", interrupt_name()), quiet_);
  return whole;
}

// Without a prompt a session continues with the token that it would have written next.
void TextRun::resume() {
  const auto next = remembered_next(session_);
  if (!next && generator_.is_full()) throw Error(generator_.why_full());
  if (!next)
    throw UsageError(
        fmt::format("session '{}' was not saved by a finished `generate`, so its next token is "
                    "unknown; give a prompt with -p or -f",
                    request_.session));
  generator_.resume(*next);
}

// A prompt that was not read to its end is not shown: nothing can follow it.
void TextRun::write_behind_prompt() {
  if (!request_.json) print(prompt_);
  flush();
  write();
}

void TextRun::write() {
  if (stored_ != nullptr) {
    const Checkpoint save = stored_->checkpoint();
    generator_.set_checkpoint({save.due, [this, save] {
                                 remember();
                                 save.take();
                               }});
  }
  TokenText text(engine_.tokenizer(), session_.tail().back(), StopTexts(request_.stop.texts));
  stop_ = generator_.write(request_.stop, [&](int32_t token) {
    show(text.push(token));
    return !text.ended();
  });
  show(text.finish());
  if (stop_ == Stop::kFull && generator_.reading().tokens + generator_.writing().tokens == 0)
    throw Error(generator_.why_full());
}

void TextRun::remember() {
  if (stored_ != nullptr) remember_next(session_, generator_.next());
}

void TextRun::show(const std::string& text) {
  if (request_.json) {
    written_ += text;
    return;
  }
  print(text);
  flush();
}

void TextRun::report() const {
  if (stop_ == Stop::kFull) note("stopped: " + generator_.why_full(), quiet_);
  if (stop_ == Stop::kEndToken && generator_.writing().tokens == 0)
    note("the model ends the text here; --ignore-eos continues it", quiet_);
  note(fmt::format("read {} tokens at {:.1f} tokens/s, wrote {} at {:.1f} tokens/s; state {}",
                   grouped(generator_.reading().tokens), generator_.reading().per_second(),
                   grouped(generator_.writing().tokens), generator_.writing().per_second(),
                   bytes_text(static_cast<double>(state_bytes()))),
       quiet_);
}

Json TextRun::result() const {
  return object({member("prompt", prompt_), member("text", written_),
                 member("stop", std::string(stop_name(stop_))),
                 member("prompt_tokens", generator_.reading().tokens),
                 member("generated_tokens", generator_.writing().tokens),
                 member("prefill_tokens_per_second", generator_.reading().per_second()),
                 member("decode_tokens_per_second", generator_.writing().per_second()),
                 member("position", session_.position()), member("state_bytes", state_bytes())});
}

void check(const Request& request, const CommandLine& line) {
  require_at_least("--tokens", request.stop.max_tokens, 0);
  require_stop_texts(request.stop);
  require_beside("--again", request.again, "-f", line.given("file"));
  require_beside("--again", request.again, "--session", line.given("session"));
  if (line.given("prompt") && line.given("file"))
    throw UsageError("-p and -f both give a prompt; use one of them");
  if (request.from_file && request.file == "-" && std::ranges::count(request.contexts, "-") > 0)
    throw UsageError("-f - and --context - both read standard input; name a file for one of them");
  if (request.with.empty()) return;
  if (line.given("config") || line.given("model"))
    throw UsageError("--with names all configurations; it cannot be combined with -c or a model");
  if (line.given("session"))
    throw UsageError("--session continues one session; it cannot be combined with --with");
  if (std::ranges::count(request.contexts, "-") > 0)
    throw UsageError("--context - can be read once; with --with name a file");
  if (request.json) throw UsageError("--json prints one result; it cannot be combined with --with");
}

// One text under every configuration of --with.
void compare_live(const Request& request, const CommandLine& line) {
  const std::vector<NamedEngine> engines = open_engines(request.with, line.overrides());
  const std::string prompt = request.text(engines.front().engine->settings(), line.quiet());
  catch_interrupts();
  if (isatty(STDOUT_FILENO) != 0) {
    write_columns(engines, prompt, request.contexts, request.stop, line.quiet());
    return;
  }
  Request one = request;
  one.prompt = prompt;
  one.from_file = false;
  for (const NamedEngine& named : engines) {
    print(fmt::format("== {} ==\n", named.name));
    Session session = named.engine->new_session();
    TextRun(*named.engine, session, one, line.quiet()).run();
    print("\n");
    if (interrupted()) return;
  }
}

void run_stored(Engine& engine, Request& request, bool quiet) {
  request.stop.read_last = true;
  catch_ending_signals();
  StoredSession stored(engine, request.session);
  stored.keep_through([&] { TextRun(engine, stored.session(), request, quiet, &stored).run(); },
                      quiet);
}

// The prompt behind every passage, and what all of them together expect.
void run_ensemble(Engine& engine, const Request& request, bool quiet) {
  if (request.prompt.empty() && !request.from_file)
    throw UsageError("an ensemble continues a prompt behind its passages; give one with -p or -f");
  const auto& settings = engine.settings().ensemble;
  TextReader reader(engine.settings(), quiet);
  std::vector<std::vector<int32_t>> passages;
  for (const std::string& path : settings.passages)
    passages.push_back(encode_part(engine.tokenizer(), reader.read(path), true));
  Ensemble ensemble(engine, passages,
                    {.scores = settings.scores, .temperature = settings.temperature});
  TextRun(engine, ensemble.session(0), request, quiet, nullptr, &ensemble).run();
}

// Keys of `chat` on the command line, which change nothing here.
void note_chat_keys(const CommandLine& line) {
  for (const std::string& text : line.overrides())
    if (text.starts_with("chat.") || text.starts_with("chat="))
      note(
          text.substr(0, text.find('=')) +
              " has no effect on generate, which reads the prompt as it is; `perdure chat` uses it",
          line.quiet());
}

void add_options(CommandLine& line, Request& request) {
  line.add("prompt,p", &request.prompt, "the text to continue")
      .add("file,f", &request.file,
           "read the prompt from a file of any length; - is standard input", "FILE")
      .add_flag("again", &request.again, "read FILE a second time if the session has read it")
      .add("tokens,n", &request.stop.max_tokens, "write at most N tokens (256)")
      .add("stop", &request.stop.texts, "stop before this text; may be repeated", "TEXT")
      .add_flag("ignore-eos", &request.stop.ignore_eos, "do not stop where the model ends the text")
      .add("session", &request.session, "continue this stored session, and save it at the end",
           "NAME")
      .add("context", &request.contexts,
           "a text that the model consults, in chunks of attention.chunk tokens; - is standard "
           "input; may be repeated",
           "FILE")
      .add("with", &request.with,
           "use this configuration; repeated: each in turn, side by side on a terminal", "FILE")
      .add_sampling()
      .add_model_word();
  line.add_flag("json", &request.json, "print prompt, text, why it stopped and speed as JSON");
}

// One configuration: a stored session, an ensemble, or a session that is not kept.
void run_one(Engine& engine, Request& request, bool is_stored, bool quiet) {
  if (is_stored) {
    refuse_ensemble(engine.settings(), "--session");
    run_stored(engine, request, quiet);
    return;
  }
  catch_interrupts();
  if (!engine.settings().ensemble.passages.empty()) {
    run_ensemble(engine, request, quiet);
    return;
  }
  Session session = engine.new_session();
  TextRun(engine, session, request, quiet).run();
}

}  // namespace

int run_generate(const Arguments& arguments) {
  Request request;
  CommandLine line(
      "generate [MODEL] [-p TEXT | -f FILE] [-n N] [--session NAME | --with FILE ...]",
      "Prints the prompt and its continuation; nothing else goes to standard output.\n"
      "Without a prompt, a session continues where it was, and a new text starts from BOS.");
  add_options(line, request);
  if (!line.parse(arguments)) return 0;
  request.from_file = line.given("file");
  check(request, line);
  note_chat_keys(line);
  if (!request.with.empty()) {
    compare_live(request, line);
    return 0;
  }
  Engine engine(line.model_settings(), linked_plugins());
  note_method(engine, line.quiet());
  run_one(engine, request, line.given("session"), line.quiet());
  return 0;
}

}  // namespace perdure::app
