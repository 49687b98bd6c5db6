// SPDX-License-Identifier: Apache-2.0

// About how long cells will take, from a short reading with their engine.
#pragma once

#include <cstdint>

#include "core/engine/engine.hpp"

namespace perdure::app {

// Time of the token at position p: per_token + per_position * p.
struct ReadingCost {
  double per_token = 0, per_position = 0;  // seconds

  // Of so many tokens in texts of `length`.
  double seconds(int64_t tokens, int64_t length) const;
};

// From two readings, of n tokens in t seconds each; the second one is longer. Never negative. Pure.
ReadingCost fit_cost(int64_t n1, double t1, int64_t n2, double t2);

// Reads a few hundred tokens with a session of its own; takes about a tenth of a second, more only
// for engines that need longer for the first tokens.
ReadingCost measure_cost(Engine& engine);

}  // namespace perdure::app
