// SPDX-License-Identifier: Apache-2.0

// A strategy that exists in tests only, to prove that the house carries networks that look ahead
// inside a window: attention both ways over the last few tokens, everything computed anew for every
// token.
#pragma once

#include "core/runtime/plugin_host.hpp"

namespace perdure::testing {

inline constexpr int64_t kProofWindow = 70;  // tokens; more than a session's tail holds otherwise

// attention.window_proof, with the option `window` (default kProofWindow) and, to be refused,
// `with_state`.
StaticPlugin window_proof_plugin();

}  // namespace perdure::testing
