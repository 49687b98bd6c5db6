// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/chat/chat_loop.hpp"

#include <fmt/format.h>

#include <charconv>
#include <ctime>
#include <span>
#include <utility>

#include "apps/perdure/chat/contexts.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"

namespace perdure::app {
namespace {

std::string now_text() { return time_text(static_cast<int64_t>(std::time(nullptr))); }

}  // namespace

ChatLoop::ChatLoop(Engine& engine, StoredSession& memory, LineInput& input, TextReader& reader,
                   const ChatWriter& writer, StopRule rule, bool quiet)
    : engine_(engine),
      memory_(memory),
      input_(input),
      reader_(reader),
      writer_(writer),
      generator_(engine, memory.session()),
      rule_(std::move(rule)),
      quiet_(quiet),
      system_(engine.settings().chat.system),
      turns_(engine, memory) {
  rule_.read_last = true;
  rule_.ends.assign(writer.ends().begin(), writer.ends().end());
  rule_.texts.push_back(writer.stop_text());
  generator_.set_room(turns_.make_room());
  generator_.set_checkpoint(memory.checkpoint());
}

void ChatLoop::read_document(const std::string& text, const std::string& name, bool again) {
  Document document(memory_.session(), engine_.tokenizer(), text, again);
  if (document.rest().empty()) {
    note(fmt::format("{} was read before; use --again to read it a second time", name), quiet_);
    return;
  }
  close_open_turn();
  forget_read_ahead(memory_.session());
  memory_.read_document(generator_, document, name, quiet_);
  clear_interrupt();
  save_turn();
}

void ChatLoop::read_contexts(std::span<const std::string> files) {
  clear_interrupt();
  memory_.mark_changed();
  if (!app::read_contexts(engine_, memory_.session(), files, {}, quiet_, memory_.checkpoint()))
    note(fmt::format("{} came while contexts were read", interrupt_name()), quiet_);
  clear_interrupt();
  save_turn();
}

void ChatLoop::run() {
  say_what_system_does();
  for (; !must_end(); clear_interrupt()) {
    std::string turn;
    switch (read_turn(turn)) {
      case LineInput::Result::kInterrupted:
        if (!must_end()) note("(/quit or Ctrl-D ends the chat)", quiet_);
        continue;
      case LineInput::Result::kEnd:
        break;
      case LineInput::Result::kLine:
        if (handle(turn)) continue;
        break;
    }
    break;
  }
  clear_interrupt();
}

std::string ChatLoop::clock_text() const { return engine_.settings().chat.clock ? now_text() : ""; }

// Lines that end in a backslash continue on the next one.
LineInput::Result ChatLoop::read_turn(std::string& turn) {
  std::string line;
  LineInput::Result result = input_.read(user_prompt(clock_text()), line);
  for (turn = line; result == LineInput::Result::kLine && line.ends_with('\\'); turn += line) {
    turn.back() = '\n';
    result = input_.read("> ", line);
    if (result == LineInput::Result::kEnd) return LineInput::Result::kLine;
  }
  return result;
}

// False if the user ends the conversation.
bool ChatLoop::handle(const std::string& line) {
  const ChatLine parsed = parse_line(line);
  if (parsed.input == ChatInput::kQuit) return false;
  try {
    obey(parsed);
  } catch (const NotFiniteError&) {
    throw;  // every answer to come would be the same
  } catch (const OutputError&) {
    throw;
  } catch (const Error& error) {
    note(fmt::format("perdure: {}", error.what()));
  }
  memory_.settle();
  flush();
  return true;
}

void ChatLoop::obey(const ChatLine& line) {
  switch (line.input) {
    case ChatInput::kTalk:
      return talk(line.text);
    case ChatInput::kFile:
      return send_file(line.text);
    case ChatInput::kContext: {
      if (line.text.empty()) throw UsageError("which file? /context PATH");
      if (line.text == "-") throw UsageError("/context - is not possible: turns come from there");
      const std::string file[] = {line.text};
      return read_contexts(file);
    }
    case ChatInput::kForget:
      return forget(line.text);
    case ChatInput::kHelp:
      return print(chat_help());
    case ChatInput::kSave:
      return save();
    case ChatInput::kReset:
      return reset();
    case ChatInput::kUndo:
      return undo();
    case ChatInput::kRegenerate:
      return regenerate();
    case ChatInput::kSystem:
      return set_system(line.text);
    case ChatInput::kLoad:
      return load(line.text);
    case ChatInput::kNew:
      return begin_new(line.text);
    case ChatInput::kMemory:
      return print(memory_text());
    case ChatInput::kStats:
      return print(stats_text());
    case ChatInput::kUnknown:
      return note(unknown_command(line.text));
    case ChatInput::kNothing:
    case ChatInput::kQuit:
      return;
  }
}

void ChatLoop::talk(const std::string& user) {
  close_open_turn();
  turns_.add(user);
  clear_interrupt();
  const bool whole = read_whole_turn(user);
  try {
    show_answer(whole);
  } catch (const OutputError&) {  // the session has the turn though nobody sees its end
    close_turn();
    throw;
  }
  close_turn();
  save_turn();
}

// After every turn without a word, unless it is the last one.
void ChatLoop::save_turn() { memory_.save_by_itself(quiet_ || !must_end()); }

// A turn for which there is no room is not there at all, where what was read of it can be undone.
bool ChatLoop::read_whole_turn(const std::string& user) {
  try {
    return read_turn_tokens(user);
  } catch (const Error&) {
    try {
      turns_.take_back();
    } catch (const Error&) {  // the first error says what is wrong
    }
    throw;
  }
}

void ChatLoop::show_answer(bool whole) {
  print("Assistant: ");
  flush();
  if (whole) answer();
  print("\n\n");
  flush();
}

void ChatLoop::send_file(const std::string& path) {
  if (path == "-")
    throw UsageError("/file - is not possible: chat reads your turns from standard input");
  const std::string text(trimmed(reader_.read(path)));
  if (text.empty()) throw UsageError(path + " has no text to send");
  talk(text);
}

// The system prompt is told with the first turn, and again when it changes. False if a signal came:
// then it counts as not told.
bool ChatLoop::read_turn_tokens(const std::string& user) {
  Session& session = memory_.session();
  const ChatNotes notes = chat_notes(session);
  const bool tell = !system_.empty() && system_ != notes.told_system;
  const std::string words = timed(user, clock_text());
  const std::vector<int32_t> tokens =
      writer_.turn({.system = tell ? system_ : "", .user = words, .is_first = !notes.has_turns},
                   notes.read_ahead);
  set_chat_notes(session, {.told_system = notes.told_system, .has_turns = true, .is_open = true});
  const bool whole = generator_.read(tokens, "reading", quiet_);
  if (tell && whole)
    set_chat_notes(session, {.told_system = system_, .has_turns = true, .is_open = true});
  return whole;
}

void ChatLoop::answer() {
  // As at the beginning of a text, where the space that the first piece brings is not shown.
  TokenText text(engine_.tokenizer(), engine_.tokenizer().bos_id(), StopTexts(rule_.texts));
  const Stop stop = generator_.write(rule_, [&](int32_t token) {
    print(text.push(token));
    flush();
    return !text.ended();
  });
  print(text.finish());
  ChatNotes notes = chat_notes(memory_.session());
  notes.read_ahead = text.ending();
  set_chat_notes(memory_.session(), notes);
  if (stop == Stop::kFull)
    note(fmt::format("\n({}; /reset starts it over)", generator_.why_full()));
}

void ChatLoop::undo() {
  const auto user = turns_.take_back();
  if (!user) throw UsageError("there is no turn to take back");
  note("took back: " + *user, quiet_);
  memory_.save_by_itself(true);
}

void ChatLoop::regenerate() {
  const RandomState random = memory_.session().random();
  const auto user = turns_.take_back();
  if (!user) throw UsageError("there is no turn to answer again");
  memory_.session().random() = random;  // another answer, not the same one
  talk(*user);
}

void ChatLoop::set_system(const std::string& text) {
  if (!text.empty()) {
    system_ = text;
    say_what_system_does();
    return;
  }
  const std::string told = told_system();
  if (!told.empty()) print(fmt::format("system prompt: {}\n", told));
  if (!system_.empty() && system_ != told)
    print(fmt::format("system prompt, given with the next turn: {}\n", system_));
  if (told.empty() && system_.empty()) print("no system prompt was given\n");
}

std::string ChatLoop::told_system() const { return chat_notes(memory_.session()).told_system; }

void ChatLoop::say_what_system_does() {
  const std::string told = told_system();
  if (told == system_ || (told.empty() && memory_.session().position() == 0)) return;
  note(system_.empty() ? "chat.system is empty, but this session was given a system prompt before, "
                         "which stays in effect; /reset drops it"
                       : "the system prompt is given with the next turn",
       quiet_);
}

void ChatLoop::load(const std::string& name) {
  if (name.empty()) throw UsageError("which session? /load NAME");
  require_other(name);
  if (!memory_.has(name))
    throw UsageError(fmt::format("there is no session '{0}'; /new {0} begins it", name));
  switch_to(name);
}

void ChatLoop::begin_new(const std::string& name) {
  if (name.empty()) throw UsageError("under which name? /new NAME");
  require_other(name);
  if (memory_.has(name))
    throw UsageError(fmt::format("session '{0}' exists; /load {0} continues it", name));
  switch_to(name);
}

void ChatLoop::require_other(const std::string& name) const {
  if (name == memory_.name()) throw UsageError("this is session '" + name + "' already");
}

void ChatLoop::switch_to(const std::string& name) {
  if (memory_.unsaved()) memory_.save();  // also where nothing else saves: it would be lost
  with_room(turns_.make_room(), [&] { memory_.switch_to(name); });
  turns_.clear();
  note(greeting(memory_), quiet_);
  say_what_system_does();
}

void ChatLoop::forget(const std::string& number) {
  const std::string stream = context_stream(engine_).name;
  size_t chunk = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), chunk);
  if (error != std::errc() || end != number.data() + number.size())
    throw UsageError("which chunk? /forget N; /memory says how many there are");
  forget_context(engine_, memory_.session(), chunk);
  memory_.mark_changed();
  note(fmt::format("chunk {} is out; {} are left", chunk,
                   memory_.session().stream_chunks(stream).size()),
       quiet_);
  memory_.save_by_itself(true);
}

// The model reads the end of its answer also where it did not come to it itself: every turn it
// remembers is whole, but the one that filled the memory.
void ChatLoop::close_turn() {
  for (const int32_t token : writer_.closing())
    if (!generator_.is_full()) generator_.feed(token);
  ChatNotes notes = chat_notes(memory_.session());
  notes.is_open = false;
  set_chat_notes(memory_.session(), notes);
}

// Of a turn that was saved in its middle and never ended.
void ChatLoop::close_open_turn() {
  if (!chat_notes(memory_.session()).is_open) return;
  note("the last turn was cut short; it ends where it was saved", quiet_);
  close_turn();
}

void ChatLoop::save() {
  memory_.save();
  note(fmt::format("saved session '{}' at token {}", memory_.name(),
                   grouped(memory_.session().position())),
       quiet_);
}

void ChatLoop::reset() {
  const std::string old = put_aside();
  turns_.clear();  // first, as the new session needs room
  memory_.reset();
  note("started over" + old, quiet_);
}

// Keeps what /reset drops, and says where. Where nothing is saved without being asked, what was
// saved is replaced by /save only.
std::string ChatLoop::put_aside() {
  if (memory_.session().position() == 0) return "";
  if (memory_.saves_by_itself())
    return fmt::format("; the old session is kept as '{0}', /load {0} continues it",
                       memory_.save_aside());
  return memory_.saved().generation == 0 ? "" : "; what was saved stays until /save";
}

std::string ChatLoop::memory_text() {
  const StoredSnapshot& saved = memory_.saved();
  const std::string kept =
      saved.generation == 0
          ? "never saved"
          : fmt::format("saved {} ({}, generation {})", time_text(saved.saved_at),
                        bytes_text(static_cast<double>(saved.size_bytes)), saved.generation);
  std::string contexts;
  for (const InputStream& stream : engine_.input_streams())
    contexts += fmt::format("{}: {} tokens in {} chunks\n", stream.name,
                            grouped(memory_.session().stream_length(stream.name)),
                            memory_.session().stream_chunks(stream.name).size());
  return fmt::format("session '{}' in {}\n{} tokens read, state {}\n{}{}\n", memory_.name(),
                     engine_.settings().store.path, grouped(memory_.session().position()),
                     bytes_text(static_cast<double>(memory_.session().state_bytes())), contexts,
                     kept);
}

std::string ChatLoop::stats_text() const {
  const auto line = [](const char* what, const Speed& speed) {
    return fmt::format("{} {} tokens at {:.1f} tokens/s\n", what, grouped(speed.tokens),
                       speed.per_second());
  };
  return line("read", generator_.reading()) + line("wrote", generator_.writing());
}

}  // namespace perdure::app
