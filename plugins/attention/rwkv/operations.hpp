// SPDX-License-Identifier: Apache-2.0

// The operations of attention.rwkv. Those with a state walk through a session's rows in order, by
// an arithmetic that does not know where a step begins: however a text is cut, the bits are the
// same.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/api/graph.hpp"
#include "core/api/kernel.h"

namespace perdure::rwkv {

// What a row mixes with the row before it: for each row m of lerp, x + (previous - x) * m; the
// first row of a session in the step has the state before it, which then becomes the last row.
// x [rows, n], lerp a constant [count, n] F32, state [1, n]; `count` results [rows, n], and with
// `previous` the previous rows themselves behind them.
std::vector<Value> token_shift(GraphBuilder& g, Value x, Value lerp, Value state,
                               bool previous = false);

// a + (b - a) * t, element by element; all [rows, n].
Value lerp(GraphBuilder& g, Value a, Value b, Value t);

// The recurrence of version 4, channel by channel. k, v [rows, n]; decay, first [1, n] F32, both
// logarithms, decay < 0; state [3, n]: sums of values and of weights, both times exp(-exponent),
// and the exponent. Result [rows, n].
//   q = max(p, first + k): result = (exp(p - q) a + exp(first + k - q) v) /
//                                   (exp(p - q) b + exp(first + k - q))
//   q = max(p + decay, k): a = exp(p + decay - q) a + exp(k - q) v, likewise b with 1 for v; p = q
Value wkv4(GraphBuilder& g, Value k, Value v, Value decay, Value first, Value state);

// The recurrence of versions 5 and 6, head by head. r, k, v [rows, n]; decay [1, n] F32 or
// [rows, n]; first [1, n] F32; state [n, m]: for each of the n key channels m values, m being the
// size of a head and of its part of v. Result [rows, n].
//   result[j] = sum over i of r[i] (S[i][j] + first[i] k[i] v[j]);  S[i][j] = decay[i] S[i][j] +
//   k[i] v[j]
Value wkv5(GraphBuilder& g, Value r, Value k, Value v, Value decay, Value first, Value state);

// The recurrence of version 7, head by head. r, decay, k, v, a, b [rows, n]; state [n, m] as above.
// Result [rows, n].
//   s[j] = sum over i of a[i] S[i][j];  S[i][j] = S[i][j] decay[i] + s[j] b[i] + v[j] k[i];
//   result[j] = sum over i of r[i] S[i][j]
Value wkv7(GraphBuilder& g, Value r, Value decay, Value k, Value v, Value a, Value b, Value state);

// What version 7 makes of its keys: with z = k * k_k, divided head by head by its Euclidean norm
// (at least 1e-12): a = -z, b = z * rate, and the key itself is k * (1 + (rate - 1) * k_a).
struct Keys7 {
  Value k, a, b;  // [rows, n]
};
// k, rate [rows, n]; k_k, k_a [1, n] F32.
Keys7 wkv7_keys(GraphBuilder& g, Value k, Value rate, Value k_k, Value k_a, int64_t head_size);

// y + (sum over the head of r * k * r_k) * v; y, r, k, v [rows, n], r_k [1, n] F32.
Value wkv7_bonus(GraphBuilder& g, Value y, Value r, Value k, Value v, Value r_k, int64_t head_size);

// MicroRWKV's group attention of each row by itself, sdk/group_attention.hpp. y [rows, 4 n], result
// [rows, n].
Value row_groups(GraphBuilder& g, Value y, int64_t n_heads);

std::vector<Operation> operations();
// Scalar ones, and those of every instruction set that is compiled in. Lives for ever.
std::span<const perdure_kernel> kernels();

}  // namespace perdure::rwkv
