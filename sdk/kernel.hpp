// SPDX-License-Identifier: Apache-2.0

// What kernels written in C++ share: reaching rows, weights and state when a step runs, judging
// values in `prepare`, and filling in a perdure_kernel. Everything is `static`, because this header
// is also compiled for instruction sets of which no function may reach the rest of the program.
#pragma once

#include <stdint.h>
#include <string.h>

#include "core/api/kernel.h"

namespace perdure::kernels {

// --- Values, in `prepare` and in `run`. ---

static inline int64_t columns(const perdure_value& v) { return v.tensor.shape[v.tensor.rank - 1]; }
static inline int64_t rows(const perdure_value& v) {
  return v.tensor.rank == 2 ? v.tensor.shape[0] : 1;
}

// A value with one row for each row (or output) of the step, of the given type.
static inline bool is_rows(const perdure_value& v, perdure_dtype dtype) {
  return (v.kind == PERDURE_VALUE_ROWS || v.kind == PERDURE_VALUE_OUTPUTS) &&
         v.tensor.dtype == static_cast<uint32_t>(dtype);
}

static inline bool in_outputs(const perdure_value& v) { return v.kind == PERDURE_VALUE_OUTPUTS; }

static inline bool is_constant(const perdure_value& v, perdure_dtype dtype) {
  return v.kind == PERDURE_VALUE_CONSTANT && v.tensor.dtype == static_cast<uint32_t>(dtype);
}

static inline bool is_weight(const perdure_value& v) {
  return v.kind == PERDURE_VALUE_CONSTANT && v.tensor.dtype != PERDURE_I64;
}

// A constant that is readable as an array of floats: weights of mapped files may be unaligned,
// views of columns have wider rows.
static inline bool is_plain(const perdure_value& v) {
  return is_constant(v, PERDURE_F32) &&
         reinterpret_cast<uintptr_t>(v.tensor.data) % alignof(float) == 0 &&
         v.tensor.row_stride_bytes % static_cast<int64_t>(sizeof(float)) == 0;
}

static inline bool is_state(const perdure_value& v) {
  return v.kind == PERDURE_VALUE_STATE && v.tensor.dtype == PERDURE_F32;
}

// --- Rows, in `run`. ---

// Row `row` of a value that has rows of its own. Rows of a mapped weight may be unaligned: read
// them by load_f32 or memcpy.
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

// --- State, in `run`. ---

// The session's view of the state that stands behind input `v`.
static inline const perdure_state_view& state_of(const perdure_step& step, int32_t session,
                                                 const perdure_value& v) {
  return step.sessions[session].states[v.state];
}

// The state behind input `v` of the session that row `row` of the step belongs to.
static inline const perdure_state_view& state_at(const perdure_call& call, int64_t row,
                                                 const perdure_value& v) {
  return state_of(*call.step, call.step->rows[row].session, v);
}

// Logical row `index` of a state.
static inline float* state_row(const perdure_state_view& view, int64_t index) {
  return reinterpret_cast<float*>(perdure_state_row(&view, index));
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

// --- Kernels. ---

// `divide` of a kernel with one item per row of the step.
static inline void divide_step_rows(const perdure_call* call, perdure_work* work) {
  *work = {call->step->n_rows, 1};
}

// `run` of such a kernel: `row_kernel(params, call, row)` for each row.
template <typename Params, void (*row_kernel)(const Params&, const perdure_call&, int64_t row)>
static int run_step_rows(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& params = *static_cast<const Params*>(call->params);
  for (int64_t row = begin; row < end; ++row) row_kernel(params, *call, row);
  return PERDURE_OK;
}

// A kernel of "scalar" without scratch and without packing, one item per row unless `items` is set
// afterwards. `Params`: the block that `prepare` fills. `attributes`: those it understands, ended
// by NULL.
template <typename Params>
static constexpr perdure_kernel make_kernel(const char* name, const char* op,
                                            decltype(perdure_kernel::prepare) prepare,
                                            decltype(perdure_kernel::divide) divide,
                                            decltype(perdure_kernel::run) run,
                                            const char* const* attributes = nullptr) {
  perdure_kernel kernel{};
  kernel.struct_size = sizeof(perdure_kernel);
  kernel.name = name;
  kernel.op = op;
  kernel.isa = "scalar";
  kernel.params_bytes = sizeof(Params);
  kernel.prepare = prepare;
  kernel.divide = divide;
  kernel.run = run;
  kernel.attributes = attributes;
  return kernel;
}

// The same with one item per row of the step.
template <typename Params, void (*row_kernel)(const Params&, const perdure_call&, int64_t row)>
static constexpr perdure_kernel make_row_kernel(const char* name, const char* op,
                                                decltype(perdure_kernel::prepare) prepare,
                                                const char* const* attributes = nullptr) {
  return make_kernel<Params>(name, op, prepare, divide_step_rows, run_step_rows<Params, row_kernel>,
                             attributes);
}

}  // namespace perdure::kernels
