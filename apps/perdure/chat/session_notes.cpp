// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/chat/session_notes.hpp"

#include <fmt/format.h>

#include <sstream>

namespace perdure::app {
namespace {

constexpr const char* kSystem = "chat.system";
constexpr const char* kReadAhead = "chat.read_ahead";
constexpr const char* kHasTurns = "chat.has_turns";
constexpr const char* kIsOpen = "chat.is_open";
constexpr const char* kNext = "generate.next";

std::string text_of(const Session& session, const char* name) {
  return text_value(session, name).value_or("");
}

}  // namespace

std::optional<std::string> text_value(const Session& session, const std::string& name) {
  const auto value = session.value(name);
  const auto* text = value ? std::get_if<std::string>(&*value) : nullptr;
  return text != nullptr ? std::optional(*text) : std::nullopt;
}

ChatNotes chat_notes(const Session& session) {
  return {text_of(session, kSystem), text_of(session, kReadAhead),
          session.value(kHasTurns).has_value(), session.value(kIsOpen).has_value()};
}

void set_chat_notes(Session& session, const ChatNotes& notes) {
  const auto unless_empty = [](const std::string& text) {
    return text.empty() ? std::nullopt : std::optional<SessionValue>(text);
  };
  const auto if_true = [](bool is) {
    return is ? std::optional<SessionValue>(int64_t{1}) : std::nullopt;
  };
  session.set_value(kSystem, unless_empty(notes.told_system));
  session.set_value(kReadAhead, unless_empty(notes.read_ahead));
  session.set_value(kHasTurns, if_true(notes.has_turns));
  session.set_value(kIsOpen, if_true(notes.is_open));
}

void forget_chat_words(SessionValues& values) {
  values.erase(kSystem);
  values.erase(kReadAhead);
}

void forget_read_ahead(Session& session) {
  session.set_value(kReadAhead, std::nullopt);
  session.set_value(kIsOpen, std::nullopt);
}

std::optional<NextToken> remembered_next(const Session& session) {
  std::istringstream in(text_of(session, kNext));
  int64_t position = 0;
  NextToken next;
  if (!(in >> position >> next.token >> next.random.state)) return std::nullopt;
  if (position != session.position() || next.token < 0 || next.random.state == 0)
    return std::nullopt;
  in >> next.is_emitted;  // where it is written
  return next;
}

void remember_next(Session& session, const NextToken& next) {
  session.set_value(kNext, fmt::format("{} {} {}{}", session.position(), next.token,
                                       next.random.state, next.is_emitted ? " 1" : ""));
}

}  // namespace perdure::app
