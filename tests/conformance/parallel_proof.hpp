// SPDX-License-Identifier: Apache-2.0

// A strategy that exists in tests only, to prove that the house carries input streams: a small
// parallel encoder around any llama. Chunks of the stream "contexts" pass through an encoder of
// their own, in which every row sees its whole chunk; in the last layer a second block after
// self-attention looks at all of them.
#pragma once

#include "core/runtime/plugin_host.hpp"

namespace perdure::testing {

inline constexpr int64_t kProofChunk = 40;      // most tokens of a chunk
inline constexpr int64_t kProofContexts = 120;  // most tokens of all chunks of a session

// attention.parallel_proof.
StaticPlugin parallel_proof_plugin();

}  // namespace perdure::testing
