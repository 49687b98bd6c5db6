// SPDX-License-Identifier: Apache-2.0

// The attributes that the kernels of this tree read, by operation: what `prepare` of the operation
// looks at, and nothing else. A node with an attribute that is not listed here is refused by all of
// them; an operation that gets a new one is listed with it when all its kernels honour it.
#pragma once

#include <string_view>

namespace perdure::kernels {

// Longest list of an operation, its end included.
constexpr int kMaxAttributes = 20;

struct OperationAttributes {
  std::string_view op;
  const char* names[kMaxAttributes];  // the rest NULL
};

inline constexpr OperationAttributes kAttributes[] = {
    {"attend",
     {"n_heads", "n_kv_heads", "n_queries", "n_ranges", "query", "rotate", "group", "angle_block",
      "listed", "scale", "cap", "slopes", "value_size", "halves"}},
    {"attend_weighing",
     {"n_heads", "n_kv_heads", "n_queries", "n_ranges", "query", "rotate", "group", "angle_block",
      "listed", "scale", "cap", "slopes", "value_size", "halves", "weigh"}},
    {"cut_range", {"near", "far"}},
    {"group_norm", {"n_groups", "eps"}},
    {"log_n", {"train_length", "clamp"}},
    {"map_index", {"before", "group", "after"}},
    {"quantize", {"group_size", "type"}},
    {"rms_norm", {"eps", "group"}},
    {"rope", {"halves", "head_size"}},
    {"rope_angles", {"divisor", "xpos_lambda", "xpos_sign", "scale"}},
    {"row_index", {"modulus", "offset", "cap"}},
    {"sink_range", {"sinks"}},
    {"slice", {"first", "count"}},
    {"softmax", {"group"}},
    {"state_write", {"roles"}},
    {"window_range", {"window", "lowest", "all_from", "rebase"}},
};

// The list of an operation, ended by NULL; NULL if it has none.
constexpr const char* const* attributes_of(std::string_view op) {
  for (const OperationAttributes& attributes : kAttributes)
    if (attributes.op == op) return attributes.names;
  return nullptr;
}

}  // namespace perdure::kernels
