// SPDX-License-Identifier: Apache-2.0

// A look at a strategy before it is compared: read token by token it must say what it says in long
// steps. One that looks ahead inside a step, or loses its numbers, would otherwise get a figure.
#pragma once

#include <cstdint>

#include "core/engine/engine.hpp"

namespace perdure {

// Tokens that the check reads, if the session can hold so many.
inline constexpr int64_t kCheckedTokens = 300;

// Reads random tokens twice, one at a time and in steps of step.max_rows, and compares all logits.
// They may differ by kStepTolerance x (1 + |logit|); by a hundred times that under
// kernels.reproducible: false. Of a strategy that declares a window three windows are computed
// twice, after one long piece of text and after single tokens, and must give the same numbers.
// `length`: read no more than so many. One thread per engine. Errors: UsageError, one sentence, if
// they differ or are not finite.
inline constexpr double kStepTolerance = 1e-3;
void check_steps(Engine& engine, int64_t length);

// Reads such tokens once in the checked mode (kernels.check), on an engine of its own that shares
// the model: what a strategy reads of its state must be there and not lie ahead.
// `static_plugins`: those that `engine` was made with. Errors: UsageError, one sentence, that names
// node, row and position, or says that the logits are not finite.
void check_accesses(const Engine& engine, std::span<const StaticPlugin> static_plugins,
                    int64_t length);

}  // namespace perdure
