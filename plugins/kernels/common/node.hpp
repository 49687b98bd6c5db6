// SPDX-License-Identifier: Apache-2.0

// The parameter blocks that `prepare` fills (node.cpp) and `run` reads; rows and state are reached
// by sdk/kernel.hpp. Everything here is `static`: this header is also compiled for instruction sets
// of which no function may reach the rest of the program.
#pragma once

#include <stdint.h>

#include "sdk/kernel.hpp"

namespace perdure::kernels {

// The parameter blocks. `outputs`: the rows are those that asked for logits.
struct RowParams {
  bool outputs;
};

static inline int64_t count_rows(const RowParams& params, const perdure_step& step) {
  return params.outputs ? step.n_outputs : step.n_rows;
}

struct ElementwiseParams {
  RowParams rows;
  int64_t n;
};

// Columns in groups, each with a factor of its own.
struct ScaleParams {
  ElementwiseParams elements;
  int64_t group;
};

struct NormParams {
  RowParams rows;
  int64_t n;
  int64_t group;
  float eps;
  bool weighted;
};

struct GroupNormParams {
  RowParams rows;
  int64_t n;
  int64_t group;  // columns
  float eps;
  uint32_t weight, bias;  // inputs; 0 = none
};

// Which columns of a head turn together: adjacent ones, or i and i + rotary / 2.
struct Rotation {
  int64_t head_size;
  int64_t rotary;  // columns that turn, the others stay
  bool halves;
};

struct RopeParams {
  RowParams rows;
  int64_t n;
  Rotation rotation;
};

struct QuantizeParams {
  RowParams rows;
  int64_t n_groups;  // per row
  int64_t group;
};

struct MatMulParams {
  RowParams rows;
  int64_t n;      // rows of the weight, columns of the result
  int64_t k;      // columns of both factors
  int64_t group;  // Q80 weights, else 0
};

struct KeyRangeParams {
  uint32_t input;  // of keys, values and range: input, input + 1, input + 2
  uint32_t query;
  uint32_t list;  // input; 0 = the range names the keys itself
  bool rotate;
  bool weigh;
  int64_t group;
  int64_t angle_block;  // 0: one row of angles per place
};

struct AttendParams {
  RowParams rows;
  int64_t n_heads;
  int64_t heads_per_kv;
  int64_t head_size;
  int64_t value_size;
  int64_t n_ranges;
  Rotation rotation;         // of keys, if a range rotates
  float scale;               // 0: divide by the root of head_size
  float cap;                 // 0: none
  uint32_t angles;           // input, if a range rotates
  uint32_t slopes;           // input, the places behind it; 0 = none
  int64_t n_weight_columns;  // of the state of weights, input 0; 0 = none
  KeyRangeParams ranges[PERDURE_MAX_KEY_RANGES];
};

}  // namespace perdure::kernels
