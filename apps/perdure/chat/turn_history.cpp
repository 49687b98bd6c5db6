// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/chat/turn_history.hpp"

#include <utility>

#include "apps/perdure/chat/generator.hpp"
#include "core/runtime/state.hpp"

namespace perdure::app {

void TurnHistory::add(const std::string& user) {
  constexpr size_t kMostTurns = 8;
  Session& session = memory_.session();
  turns_.push_back(
      {user, chat_notes(session), session.position(), session.random(), session.counts(), copy()});
  if (turns_.size() > kMostTurns) turns_.pop_front();
}

// A turn is worth more than the copies that could take it back: they give way to it.
std::optional<Session> TurnHistory::copy() {
  constexpr int64_t kSmall = int64_t{32} << 20;
  if (memory_.session().state_bytes() > kSmall) return std::nullopt;
  std::optional<Session> copy;
  try {
    with_room(make_room(), [&] { copy = engine_.fork(memory_.session()); });
  } catch (const StateBudgetError&) {  // then without
  }
  return copy;
}

std::function<bool()> TurnHistory::make_room() {
  return [this] { return drop_oldest_copy(); };
}

bool TurnHistory::drop_oldest_copy() {
  for (Turn& turn : turns_)
    if (turn.session) {
      turn.session.reset();
      return true;
    }
  return false;
}

std::optional<std::string> TurnHistory::take_back() {
  if (turns_.empty()) return std::nullopt;
  Turn& last = turns_.back();
  if (last.session)
    memory_.session() = std::move(*last.session);
  else
    rewind_to(last);
  memory_.mark_changed();
  std::string user = std::move(last.user);
  turns_.pop_back();
  return user;
}

void TurnHistory::rewind_to(const Turn& turn) {
  Session& session = memory_.session();
  engine_.rewind(session, turn.position);
  session.random() = turn.random;
  session.counts() = turn.counts;
  set_chat_notes(session, turn.notes);
}

}  // namespace perdure::app
