// SPDX-License-Identifier: Apache-2.0

// A strategy of the tests that throws keys away when a prompt is complete: attention over the last
// kProofLatest tokens and over kProofKept keys, which are the prompt's last; a small relative of
// eviction by scores.
#pragma once

#include "core/runtime/plugin_host.hpp"

namespace perdure::testing {

inline constexpr int64_t kProofKept = 3;    // keys kept of a prompt
inline constexpr int64_t kProofLatest = 5;  // tokens that are always visible

StaticPlugin prompt_proof_plugin();

}  // namespace perdure::testing
