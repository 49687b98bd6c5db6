// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/chat/chat_loop.hpp"

#include <fmt/format.h>

#include <ctime>
#include <span>

#include "apps/perdure/chat/chat_text.hpp"
#include "apps/perdure/terminal/interrupt.hpp"
#include "apps/perdure/terminal/output.hpp"
#include "core/model/templates/chat_template.hpp"

namespace perdure::app {
namespace {

std::string now_text() { return time_text(static_cast<int64_t>(std::time(nullptr))); }

}  // namespace

ChatLoop::ChatLoop(Engine& engine, StoredSession& memory, LineInput& input, int64_t most_tokens,
                   bool quiet)
    : engine_(engine),
      memory_(memory),
      input_(input),
      generator_(engine, memory.session()),
      most_tokens_(most_tokens),
      quiet_(quiet),
      first_turn_(memory.session().position() == 0) {}

void ChatLoop::read_document(const std::string& text, const std::string& name, bool again) {
  Document document(memory_.session(), text, again);
  const std::vector<int32_t> tokens = engine_.tokenizer().encode(text, document.starts(), false);
  const std::string total = grouped(std::ssize(tokens));
  const int64_t before = document.done(std::ssize(tokens));
  if (before == std::ssize(tokens)) {
    note(fmt::format("{} was read before; --again reads it a second time", name), quiet_);
    return;
  }
  if (before > 0)
    note(fmt::format("{} continues at token {} of {}", name, grouped(before), total), quiet_);
  generator_.set_checkpoint(memory_.checkpoint(document, std::ssize(tokens)));
  const int64_t start = memory_.session().position();
  const bool whole = generator_.read(std::span(tokens).subspan(static_cast<size_t>(before)),
                                     "reading " + name, quiet_);
  generator_.set_checkpoint({});
  const int64_t read = before + memory_.session().position() - start;
  document.set_done(read, std::ssize(tokens));
  note(fmt::format("read {} of {} tokens of {}{}", grouped(read), total, name,
                   whole ? "" : ", then " + interrupt_name() + " came"),
       quiet_);
  clear_interrupt();
  memory_.save_by_itself(true);
}

void ChatLoop::run() {
  for (; !must_end(); clear_interrupt()) {
    std::string line;
    switch (input_.read(user_prompt(now_text()), line)) {
      case LineInput::Result::kInterrupted:
        if (!must_end()) note("(/quit or Ctrl-D ends the chat)", quiet_);
        continue;
      case LineInput::Result::kEnd:
        break;
      case LineInput::Result::kLine:
        if (handle(line)) continue;
        break;
    }
    break;
  }
  clear_interrupt();
}

// False if the user ends the conversation.
bool ChatLoop::handle(const std::string& line) {
  const ChatInput input = classify(line);
  if (input == ChatInput::kQuit) return false;
  try {
    switch (input) {
      case ChatInput::kTalk:
        talk(line);
        break;
      case ChatInput::kHelp:
        print(chat_help());
        break;
      case ChatInput::kSave:
        save();
        break;
      case ChatInput::kReset:
        reset();
        break;
      case ChatInput::kMemory:
        print(memory_text());
        break;
      case ChatInput::kStats:
        print(stats_text());
        break;
      case ChatInput::kUnknown:
        note(unknown_command(line));
        break;
      case ChatInput::kNothing:
      case ChatInput::kQuit:
        break;
    }
  } catch (const NotFiniteError&) {
    throw;  // every answer to come would be the same
  } catch (const OutputError&) {
    throw;
  } catch (const Error& error) {
    note(fmt::format("perdure: {}", error.what()));
  }
  flush();
  return true;
}

void ChatLoop::talk(const std::string& user) {
  const Settings& settings = engine_.settings();
  const std::string text = find_chat_template(settings.chat.chat_template)
                               .turn(first_turn_ ? settings.chat.system : "",
                                     timed(user, settings.chat.clock ? now_text() : ""));
  const std::vector<int32_t> tokens = engine_.tokenizer().encode(text, true, false);
  clear_interrupt();
  const bool whole = generator_.read(tokens, "reading", quiet_);
  first_turn_ = false;
  print("Assistant: ");
  flush();
  if (whole) answer();
  print("\n\n");
  flush();
  close_turn();
  memory_.save_by_itself(true);
}

void ChatLoop::answer() {
  // As at the beginning of a text, where the space that the first piece brings is not shown.
  TokenPrinter printer(engine_.tokenizer(), engine_.tokenizer().bos_id());
  const StopRule rule{.max_tokens = most_tokens_, .read_last = true};
  const Stop stop = generator_.write(rule, [&](int32_t token) { printer.print(token); });
  printer.finish();
  if (stop == Stop::kFull) note("\n(this memory is full; /reset starts afresh)");
}

// The model reads the end of its answer also where it did not come to it itself: every turn it
// remembers is whole, but the one that filled the memory.
void ChatLoop::close_turn() {
  const std::span<const int32_t> ends = engine_.tokenizer().eos_ids();
  if (!generator_.is_full() && !ends.empty()) generator_.feed(ends.front());
}

void ChatLoop::save() {
  memory_.save();
  note(fmt::format("saved memory '{}' at token {}", memory_.name(),
                   grouped(memory_.session().position())),
       quiet_);
}

void ChatLoop::reset() {
  memory_.reset();
  first_turn_ = true;
  note("forgotten; what is saved stays until the next save", quiet_);
}

std::string ChatLoop::memory_text() {
  const StoredSnapshot& saved = memory_.saved();
  const std::string kept =
      saved.generation == 0
          ? "never saved"
          : fmt::format("saved {} ({}, generation {})", time_text(saved.saved_at),
                        bytes_text(static_cast<double>(saved.size_bytes)), saved.generation);
  return fmt::format("memory '{}' in {}\n{} tokens read, state {}\n{}\n", memory_.name(),
                     engine_.settings().store.path, grouped(memory_.session().position()),
                     bytes_text(static_cast<double>(memory_.session().state_bytes())), kept);
}

std::string ChatLoop::stats_text() const {
  const auto line = [](const char* what, const Speed& speed) {
    return fmt::format("{} {} tokens at {:.1f} tokens/s\n", what, grouped(speed.tokens),
                       speed.per_second());
  };
  return line("read", generator_.reading()) + line("wrote", generator_.writing());
}

}  // namespace perdure::app
