// SPDX-License-Identifier: Apache-2.0

// Strategies that exist in tests only, to prove that state is saved whatever its rows mean.
// `block_proof`: a ring with one kept key per block of tokens. `counted_proof`: keys are kept or
// not by what the tokens are, so that nobody but the kernel knows how many there are.
#pragma once

#include "core/runtime/plugin_host.hpp"

namespace perdure::testing {

inline constexpr int64_t kProofBlock = 5;  // tokens of a block

// attention.block_proof, with the options `declared` (true): whether it says how many tokens share
// a row; and `appended` (false): the state is appended to, though its last row is written later.
StaticPlugin block_proof_plugin();
// attention.counted_proof.
StaticPlugin counted_proof_plugin();

}  // namespace perdure::testing
