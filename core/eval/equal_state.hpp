// SPDX-License-Identifier: Apache-2.0

// Comparing memories with windows fairly: a window as large as another entry's state allows.
#pragma once

#include <cstdint>
#include <span>

#include "core/engine/engine.hpp"

namespace perdure {

// The settings, if a session of theirs holds at most `budget_bytes` of state after `length` tokens;
// else with `sliding_window` in place of `full` and the largest window that does. attention.
// eval_length is `length`. Opens an engine or a few. Errors: UsageError if the strategy has no
// window or not even one of a token fits; as the constructor of Engine.
Settings with_state_below(Settings settings, int64_t length, int64_t budget_bytes,
                          std::span<const StaticPlugin> static_plugins);

}  // namespace perdure
