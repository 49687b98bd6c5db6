// SPDX-License-Identifier: Apache-2.0

// What a session remembers of its use beside its text: the system prompt it was told, and the token
// with which generate would continue. Kept in the session, so saved and restored with it.
#pragma once

#include <optional>
#include <string>

#include "apps/perdure/chat/generator.hpp"
#include "core/engine/engine.hpp"
#include "core/engine/session_values.hpp"

namespace perdure::app {

// "" if none was told.
std::string told_system(const Session& session);
void set_told_system(Session& session, const std::string& system);
// Takes its words out of what a snapshot holds; a chat then tells one again.
void forget_told_system(SessionValues& values);

// What generate wrote down at its end; nullopt if it did not, or the session has read on since.
std::optional<NextToken> remembered_next(const Session& session);
void remember_next(Session& session, const std::optional<NextToken>& next);

}  // namespace perdure::app
