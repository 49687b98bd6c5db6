// SPDX-License-Identifier: Apache-2.0

// The conversation: turns and commands until the user ends it. The memory is saved after every
// turn; an error inside a turn, a full disk for example, is told and the conversation goes on.
#pragma once

#include <string>

#include "apps/perdure/chat/generator.hpp"
#include "apps/perdure/chat/stored_session.hpp"
#include "apps/perdure/terminal/line_input.hpp"

namespace perdure::app {

class ChatLoop {
 public:
  // `most_tokens`: the longest answer. Engine, memory and input are borrowed.
  ChatLoop(Engine& engine, StoredSession& memory, LineInput& input, int64_t most_tokens,
           bool quiet);

  // Reads a text into the memory before the first turn, saving it at intervals; a signal stops the
  // reading, and what was read stays. A document that was read to some token continues there; one
  // that was read to its end is read a second time only if `again`. Errors: Error if it does not
  // fit.
  void read_document(const std::string& text, const std::string& name, bool again);

  // Until the user, the end of input, SIGTERM or SIGHUP ends it. What the last turn has left
  // unsaved, the caller saves. Errors: OutputError.
  void run();

 private:
  bool handle(const std::string& line);
  void talk(const std::string& user);
  void answer();
  void close_turn();
  void save();
  void reset();
  std::string memory_text();
  std::string stats_text() const;

  Engine& engine_;
  StoredSession& memory_;
  LineInput& input_;
  Generator generator_;
  int64_t most_tokens_;
  bool quiet_;
  bool first_turn_;  // the system prompt is still to be told
};

}  // namespace perdure::app
