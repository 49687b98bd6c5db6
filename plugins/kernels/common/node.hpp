// SPDX-License-Identifier: Apache-2.0

// What every kernel needs: reaching rows when a step runs, and the parameter blocks that `prepare`
// fills (node.cpp) and `run` reads. Everything here is `static`: this header is also compiled for
// instruction sets of which no function may reach the rest of the program.
#pragma once

#include <stdint.h>
#include <string.h>

#include "core/api/kernel.h"

namespace perdure::kernels {

static inline int64_t columns(const perdure_value& v) { return v.tensor.shape[v.tensor.rank - 1]; }
static inline int64_t rows(const perdure_value& v) {
  return v.tensor.rank == 2 ? v.tensor.shape[0] : 1;
}

// Row `row` of a value that has rows of its own.
template <typename T>
static inline T* row_of(const perdure_value& v, int64_t row) {
  return reinterpret_cast<T*>(static_cast<char*>(v.tensor.data) + row * v.tensor.row_stride_bytes);
}

// The scales of row `row` of a quantised activation.
static inline float* scales_of(const perdure_value& v, int64_t row) {
  return static_cast<float*>(v.tensor.scales) + row * (columns(v) / v.tensor.group_size);
}

// Element `i` of an array of floats that may be unaligned.
static inline float load_f32(const void* data, int64_t i) {
  float value;
  memcpy(&value, static_cast<const char*>(data) + i * sizeof value, sizeof value);
  return value;
}

// The session's view of the state that stands behind input `v`.
static inline const perdure_state_view& state_of(const perdure_step& step, int32_t session,
                                                 const perdure_value& v) {
  return step.sessions[session].states[v.state];
}

// Keys or values of `attend` as the rows of a session: those of a state, or the session's own rows
// of the step.
static inline perdure_state_view key_rows_of(const perdure_step& step, int32_t session,
                                             const perdure_value& v) {
  if (v.kind == PERDURE_VALUE_STATE) return state_of(step, session, v);
  const perdure_session& s = step.sessions[session];
  perdure_state_view view = {};
  view.data = row_of<char>(v, s.first_row);
  view.row_bytes = v.tensor.row_stride_bytes;
  view.n_rows = s.n_rows;
  return view;
}

static inline float* state_row(const perdure_state_view& view, int64_t index) {
  return reinterpret_cast<float*>(perdure_state_row(&view, index));
}

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

struct NormParams {
  RowParams rows;
  int64_t n;
  int64_t group;
  float eps;
  bool weighted;
};

struct RopeParams {
  RowParams rows;
  int64_t n;
  int64_t head_size;
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

constexpr int64_t kMaxKeyRanges = 8;

struct KeyRangeParams {
  uint32_t input;  // of keys, values and range: input, input + 1, input + 2
  uint32_t query;
  int64_t group;
  int64_t angle_block;  // 0: one row of angles per place
  bool rotate;
};

struct AttendParams {
  RowParams rows;
  int64_t n_heads;
  int64_t heads_per_kv;
  int64_t head_size;
  int64_t n_ranges;
  uint32_t angles;  // input, if a range rotates
  KeyRangeParams ranges[kMaxKeyRanges];
};

}  // namespace perdure::kernels
