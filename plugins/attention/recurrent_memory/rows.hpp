// SPDX-License-Identifier: Apache-2.0

// What both forms of attention.recurrent_memory share: the rows of memory around a segment's tokens
// pass through all layers, and what comes out behind the tokens is the session's state `memory`.
#pragma once

#include <cstdint>
#include <span>

#include "core/api/model_info.hpp"
#include "core/api/strategy.hpp"
#include "sdk/memory_rows.hpp"

namespace perdure {

inline constexpr const char* kMemoryState = "memory";
// Of rows that leave keys and values.
inline constexpr int64_t kAllRoles =
    int64_t{1} << PERDURE_ROLE_TOKEN | int64_t{1} << kReadRole | int64_t{1} << kWriteRole;

// Errors: UsageError unless `layers` are all of the model's.
void require_all_layers(const ModelInfo& model, std::span<const int64_t> layers);

// Segments of at most so many tokens.
Traits recurrent_traits(int64_t segment_length);

// Writes the write rows of x [rows, hidden_size], with the output norm, to kMemoryState
// [n_memory, hidden_size].
void write_memory(GraphBuilder& g, const ModelInfo& model, Value x, int64_t n_memory);

}  // namespace perdure
