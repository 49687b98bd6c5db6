// SPDX-License-Identifier: Apache-2.0

// What a session remembers of its use beside its text: what the next turn depends on, and the token
// with which generate would continue. Kept in the session, so saved and restored with it.
#pragma once

#include <optional>
#include <string>

#include "apps/perdure/chat/generator.hpp"
#include "core/engine/engine.hpp"
#include "core/engine/session_values.hpp"

namespace perdure::app {

// A text that a session remembers under a name; nullopt if it has none. Pure.
std::optional<std::string> text_value(const Session& session, const std::string& name);

struct ChatNotes {
  std::string told_system;  // the system prompt it was told; "" if none
  std::string read_ahead;   // of the next turn, what the model wrote itself behind its last answer
  bool has_turns = false;
  bool is_open = false;  // a turn has begun and not ended: a save in its middle
};
ChatNotes chat_notes(const Session& session);
void set_chat_notes(Session& session, const ChatNotes& notes);
// Takes the words of chat notes out of what a snapshot holds; a chat then tells the system prompt
// again.
void forget_chat_words(SessionValues& values);

// What the session reads next is no turn of a chat: nothing of the next turn is read ahead, and no
// turn is open.
void forget_read_ahead(Session& session);

// What generate noted at its end or before a save in its middle; nullopt if it did not, or the
// session has read on since.
std::optional<NextToken> remembered_next(const Session& session);
void remember_next(Session& session, const NextToken& next);

}  // namespace perdure::app
