// SPDX-License-Identifier: Apache-2.0

// The operations of attention.microrwkv: what a row takes from the other rows of its window, which
// are all rows that its session has in the step. Nothing is kept from step to step.
// Source: MicroRWKV, modelGenerate.py.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/api/graph.hpp"
#include "core/api/kernel.h"

namespace perdure::microrwkv {

// For each row m of lerp, x + (previous - x) * m; previous is the row before, zeros before the
// first. x [rows, n], lerp a constant [count, n] F32; `count` results [rows, n].
std::vector<Value> shift(GraphBuilder& g, Value x, Value lerp);

// The recurrence of RWKV 5 from the first row of the window on, head by head. r, k, v [rows, n];
// decay, first [1, n] F32; result [rows, n].
//   result[j] = sum over i of r[i] (S[i][j] + first[i] k[i] v[j]);
//   S[i][j] = decay[i] S[i][j] + k[i] v[j]
Value recur(GraphBuilder& g, Value r, Value k, Value v, Value decay, Value first, int64_t n_heads);

// "Sliding window attention" as the original computes it. A window of T rows is cut into `places`
// pieces of n = ceil(T / places) rows, zeros behind the last; pieces attend to pieces, all to all,
// by their rows side by side. With P = places, scale = 1 / sqrt(head size), row i n + j:
//   score[i][l] = scale * sum over j < n of q[i n + j] k[l n + j]
//   result[i n + j] = sum over l < P of softmax over all P of score[i] [l] * v[l n + j]
// q, k, v [rows, n_heads * head size]; result likewise.
Value attend(GraphBuilder& g, Value q, Value k, Value v, int64_t n_heads, int64_t places);

// "Grouped attention", sdk/group_attention.hpp. y [rows, 4 n], result [rows, n].
Value attend_groups(GraphBuilder& g, Value y, int64_t n_heads);

std::vector<Operation> operations();
// Of every instruction set that is compiled in. Lives for ever.
std::span<const perdure_kernel> kernels();

}  // namespace perdure::microrwkv
