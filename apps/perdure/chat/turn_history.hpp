// SPDX-License-Identifier: Apache-2.0

// The latest turns of a conversation, for taking them back: small states are copied, large ones are
// rewound if it comes to that and the strategy can.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "apps/perdure/chat/session_notes.hpp"
#include "apps/perdure/chat/stored_session.hpp"
#include "core/engine/engine.hpp"

namespace perdure::app {

class TurnHistory {
 public:
  // Borrows both.
  TurnHistory(Engine& engine, StoredSession& memory) : engine_(engine), memory_(memory) {}

  // The session is about to read this turn.
  void add(const std::string& user);
  // The session as it was before the last turn; returns what the user said. nullopt if no turn is
  // known. Errors: Error if the strategy cannot go back, and nothing changes.
  std::optional<std::string> take_back();
  // Another session is in its place.
  void clear() { turns_.clear(); }
  // For with_room: drops the oldest copy; false if there is none.
  std::function<bool()> make_room();

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

  std::optional<Session> copy();
  bool drop_oldest_copy();
  void rewind_to(const Turn& turn);

  Engine& engine_;
  StoredSession& memory_;
  std::deque<Turn> turns_;
};

}  // namespace perdure::app
