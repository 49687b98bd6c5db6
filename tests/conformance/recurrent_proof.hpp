// SPDX-License-Identifier: Apache-2.0

// A strategy that exists in tests only, to prove that the house carries what is to come: a small
// recurrent memory transformer around any llama (memory tokens before and after every segment,
// causal throughout). It uses what no strategy of the tree needs yet: extra rows before and behind
// a segment's tokens, state of the session, `begin` and `end` graphs, nodes behind the last layer,
// two key ranges in one `attend`, and an operation of its own.
#pragma once

#include "core/runtime/plugin_host.hpp"

namespace perdure::testing {

inline constexpr int64_t kProofMemory = 2;   // memory rows before and behind a segment
inline constexpr int64_t kProofSegment = 6;  // tokens

// attention.recurrent_proof.
StaticPlugin recurrent_proof_plugin();

}  // namespace perdure::testing
