// SPDX-License-Identifier: Apache-2.0

// The conversation: turns and commands until the user ends it. The memory is saved after every
// turn; an error inside a turn, a full disk for example, is told and the conversation goes on.
#pragma once

#include <span>
#include <string>

#include "apps/perdure/chat/chat_text.hpp"
#include "apps/perdure/chat/generator.hpp"
#include "apps/perdure/chat/session_notes.hpp"
#include "apps/perdure/chat/stored_session.hpp"
#include "apps/perdure/chat/turn_history.hpp"
#include "apps/perdure/terminal/line_input.hpp"
#include "apps/perdure/text_reader.hpp"
#include "core/model/templates/chat_writer.hpp"

namespace perdure::app {

class ChatLoop {
 public:
  // `reader`: of the files that the user sends. `writer`: how turns are written. `rule`: when an
  // answer ends; what ends one by the template does so too. All but the rule are borrowed.
  ChatLoop(Engine& engine, StoredSession& memory, LineInput& input, TextReader& reader,
           const ChatWriter& writer, StopRule rule, bool quiet);

  // Reads a text into the memory before the first turn, saving it at intervals; a signal stops the
  // reading, and what was read stays. A document that was read to some token continues there; one
  // that was read to its end is read a second time only if `again`. Errors: Error if it does not
  // fit.
  void read_document(const std::string& text, const std::string& name, bool again);

  // Reads texts that the model consults; a signal stops the reading, and whole chunks stay.
  // Errors: as app::read_contexts.
  void read_contexts(std::span<const std::string> files);

  // Until the user, the end of input or a signal to end ends it. What the last turn has left
  // unsaved, the caller saves. Errors: OutputError.
  void run();

 private:
  std::string clock_text() const;
  LineInput::Result read_turn(std::string& turn);
  bool handle(const std::string& line);
  void obey(const ChatLine& line);
  void talk(const std::string& user);
  void send_file(const std::string& path);
  // False if a signal came before the turn was read to its end.
  bool read_whole_turn(const std::string& user);
  bool read_turn_tokens(const std::string& user);
  void show_answer(bool whole);
  void answer();
  void undo();
  void regenerate();
  void set_system(const std::string& text);
  std::string told_system() const;
  void say_what_system_does();
  void load(const std::string& name);
  void forget(const std::string& number);
  void begin_new(const std::string& name);
  void require_other(const std::string& name) const;
  void switch_to(const std::string& name);
  void close_turn();
  void close_open_turn();
  void save_turn();
  void save();
  void reset();
  std::string put_aside();
  std::string memory_text();
  std::string stats_text() const;

  Engine& engine_;
  StoredSession& memory_;
  LineInput& input_;
  TextReader& reader_;
  const ChatWriter& writer_;
  Generator generator_;
  StopRule rule_;
  bool quiet_;
  std::string system_;
  TurnHistory turns_;
};

}  // namespace perdure::app
