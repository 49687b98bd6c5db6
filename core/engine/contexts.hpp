// SPDX-License-Identifier: Apache-2.0

// Contexts: texts beside a session's own, which strategies such as parallel_encoding read in chunks
// (input stream `contexts`).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/engine/engine.hpp"

namespace perdure {

inline constexpr const char* kContextStream = "contexts";

// What the strategy says of its stream of contexts. Errors: UsageError if it has none.
InputStream context_stream(const Engine& engine);

// Chunks of `size` tokens, the last of which may be shorter; none of no tokens. Requires: size
// >= 1.
std::vector<std::vector<int32_t>> split_tokens(std::span<const int32_t> tokens, int64_t size);

// Tokens split into chunks of as many as the stream takes; `query`, stream.query tokens, stands
// behind each. The last chunk may be shorter.
std::vector<std::vector<int32_t>> context_chunks(const InputStream& stream,
                                                 std::span<const int32_t> tokens,
                                                 std::span<const int32_t> query);

}  // namespace perdure
