// SPDX-License-Identifier: Apache-2.0

// The conversation: turns and commands until the user ends it. The memory is saved after every
// turn; an error inside a turn, a full disk for example, is told and the conversation goes on.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "apps/perdure/chat/chat_text.hpp"
#include "apps/perdure/chat/generator.hpp"
#include "apps/perdure/chat/session_notes.hpp"
#include "apps/perdure/chat/stored_session.hpp"
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
  // What the session was before a turn, and the turn.
  struct Turn {
    std::string user;
    ChatNotes notes;
    int64_t position = 0;
    RandomState random;
    TokenCounts counts;
    std::optional<Session> session;  // a copy, where it is small and there is room
  };

  std::string clock_text() const;
  LineInput::Result read_turn(std::string& turn);
  bool handle(const std::string& line);
  void obey(const ChatLine& line);
  void talk(const std::string& user);
  void send_file(const std::string& path);
  void remember_turn(const std::string& user);
  std::optional<Session> copy_for_undo();
  bool drop_oldest_copy();
  std::function<bool()> make_room();
  bool read_turn_tokens(const std::string& user);
  void answer();
  // Takes the last turn back and returns it; nullopt if none is known.
  std::optional<Turn> take_back();
  void undo();
  void regenerate();
  void set_system(const std::string& text);
  std::string told_system() const;
  void say_what_system_does();
  void load(const std::string& name);
  void forget(const std::string& number);
  void close_turn();
  void save();
  void reset();
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
  std::deque<Turn> turns_;  // the latest ones, for /undo
};

}  // namespace perdure::app
