// SPDX-License-Identifier: Apache-2.0

// The operation `memory_blend` of attention.memory: a running mean of the memory, carried on at the
// last segment of every so many tokens (`emamem` of llama2Rnn, specification 3.2).
#pragma once

#include <span>

#include "core/api/graph.hpp"
#include "core/api/kernel.h"

namespace perdure {

// x [rows, d], persistent: a state with d columns, index [rows, 1]. Row i, at position p, belongs
// to the segment that ends with the token e = p - p mod mem_len + mem_len - 1. If (e + 1) mod every
// = 0 then
//   persistent[index_i] = weight * persistent[index_i] + (1 - weight) * x_i,   result_i =
//   persistent[index_i];
// otherwise result_i = x_i and the state stays. Result [rows, d].
Value memory_blend(GraphBuilder& g, Value x, Value persistent, Value index, double weight,
                   int64_t every, int64_t mem_len);

Operation memory_blend_operation();
std::span<const perdure_kernel> memory_blend_kernels();

}  // namespace perdure
