// SPDX-License-Identifier: Apache-2.0

// MicroRWKV's "grouped attention" for kernels: inside each of four parts of a row the heads attend
// to one another. The original reads a part of all T rows as if heads were outermost, so that with
// T > 1 the heads of a place come from different rows; T = 1 is what it does to a row by itself.
// Source: MicroRWKV, modelGenerate.py, GroupedQueryAttention.
#pragma once

#include <math.h>
#include <stdint.h>

#include "sdk/kernel.hpp"

namespace perdure::kernels {

constexpr int64_t kGroupParts = 4;    // of a row of the product
constexpr int64_t kPiecesOfPart = 4;  // query, key, value and weight

// T rows from `first_row` on: input rows of 16 * piece values, output rows of 4 * piece.
struct GroupWindow {
  const perdure_value* input;
  const perdure_value* output;
  int64_t first_row, n_rows;
  int64_t n_heads, head_size;  // piece = n_heads * head_size

  int64_t piece() const { return n_heads * head_size; }

  // Head `a` at place `t` of piece `which` of a part: `head_size` values.
  const float* in(int64_t part, int64_t which, int64_t a, int64_t t) const {
    const int64_t run = a * n_rows + t;
    return row_of<const float>(*input, first_row + run / n_heads) +
           (part * kPiecesOfPart + which) * piece() + run % n_heads * head_size;
  }
  float* out(int64_t part, int64_t a, int64_t t) const {
    const int64_t run = (part * n_heads + a) * n_rows + t, runs_per_row = kGroupParts * n_heads;
    return row_of<float>(*output, first_row + run / runs_per_row) + run % runs_per_row * head_size;
  }
};

// Place `t` of a part: for each head a, softmax over heads b of scale * q_a k_b, times v_b, times
// the weight of a; scale = 1 / sqrt(head size). `scores`: room for n_heads values.
static inline void group_attend(const GroupWindow& w, int64_t part, int64_t t, float* scores) {
  const float scale = 1.0f / sqrtf(static_cast<float>(w.head_size));
  for (int64_t a = 0; a < w.n_heads; ++a) {
    const float* q = w.in(part, 0, a, t);
    float largest = 0.0f;
    for (int64_t b = 0; b < w.n_heads; ++b) {
      const float* k = w.in(part, 1, b, t);
      float dot = 0.0f;
      for (int64_t c = 0; c < w.head_size; ++c) dot += q[c] * k[c];
      scores[b] = dot * scale;
      if (b == 0 || scores[b] > largest) largest = scores[b];
    }
    float sum = 0.0f;
    for (int64_t b = 0; b < w.n_heads; ++b) sum += scores[b] = expf(scores[b] - largest);
    float* y = w.out(part, a, t);
    for (int64_t c = 0; c < w.head_size; ++c) y[c] = 0.0f;
    for (int64_t b = 0; b < w.n_heads; ++b) {
      const float* v = w.in(part, 2, b, t);
      for (int64_t c = 0; c < w.head_size; ++c) y[c] += scores[b] / sum * v[c];
    }
    const float* weight = w.in(part, 3, a, t);
    for (int64_t c = 0; c < w.head_size; ++c) y[c] *= weight[c];
  }
}

}  // namespace perdure::kernels
