// SPDX-License-Identifier: Apache-2.0

// Hyper-connections (Zhu et al. 2024, arXiv 2409.19606): a model keeps S residual streams beside
// each other. A block reads a mixture of them and adds its result to each, by weights that depend
// on the row. Two operations of architectures that have them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/api/graph.hpp"
#include "core/api/kernel.h"

namespace perdure {

// Of one block, all F32. Column 0 of the first S + 1 is for what the block reads, columns 1 .. S
// for the next streams, the last for what the block adds.
struct StreamWeights {
  Value norm;      // [1, d]
  Value dynamic;   // [S + 2, d]
  Value scale;     // [1, S + 2]
  Value constant;  // [S, S + 2]: a row for each stream
};

// What a block has of the streams.
struct BlockStreams {
  Value input;   // [rows, d], what it reads
  Value base;    // [rows, S * d], what its result is added to
  Value shares;  // [rows, S], of its result for each stream
};

// streams [rows, S * d]. With z = norm * H_s / max(||H_s||, 1e-12) * sqrt(d) and c_s = tanh(dynamic
// z) * scale + constant_s, row by row: input = sum_s c_s[0] H_s, shares_s = c_s[S + 1], and
// base_t = sum_s c_s[t] H_s (mixed), or H_t (otherwise). Products over d are summed in 16 lanes.
BlockStreams read_streams(GraphBuilder& g, Value streams, const StreamWeights& weights, bool mixed);

// The streams behind the block: base_t + shares_t * result. result [rows, d].
Value add_to_streams(GraphBuilder& g, const BlockStreams& block, Value result);

// The sum of the streams [rows, S * d]: [rows, d].
Value sum_of_streams(GraphBuilder& g, Value streams, int64_t n_streams);

std::vector<Operation> residual_stream_operations();
std::span<const perdure_kernel> residual_stream_kernels();

}  // namespace perdure
