// SPDX-License-Identifier: Apache-2.0

// What every kernel of this plugin needs: looking at a node when a plan is compiled, reaching rows
// when a step runs, and cutting row-wise work.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "core/api/kernel.h"

namespace perdure::scalar {

inline int64_t columns(const perdure_value& v) { return v.tensor.shape[v.tensor.rank - 1]; }
inline int64_t rows(const perdure_value& v) { return v.tensor.rank == 2 ? v.tensor.shape[0] : 1; }

// A value with one row for each row (or output) of the step, of the given type.
inline bool is_rows(const perdure_value& v, perdure_dtype dtype) {
  return (v.kind == PERDURE_VALUE_ROWS || v.kind == PERDURE_VALUE_OUTPUTS) &&
         v.tensor.dtype == static_cast<uint32_t>(dtype);
}

inline bool is_constant(const perdure_value& v, perdure_dtype dtype) {
  return v.kind == PERDURE_VALUE_CONSTANT && v.tensor.dtype == static_cast<uint32_t>(dtype);
}

inline bool is_state(const perdure_value& v) {
  return v.kind == PERDURE_VALUE_STATE && v.tensor.dtype == PERDURE_F32;
}

// Row `row` of a value that has rows of its own.
template <typename T>
T* row_of(const perdure_value& v, int64_t row) {
  return reinterpret_cast<T*>(static_cast<char*>(v.tensor.data) + row * v.tensor.row_stride_bytes);
}

// The scales of row `row` of a quantised activation.
inline float* scales_of(const perdure_value& v, int64_t row) {
  return static_cast<float*>(v.tensor.scales) + row * (columns(v) / v.tensor.group_size);
}

// Element `i` of an array of floats that may be unaligned.
inline float load_f32(const void* data, int64_t i) {
  float value;
  std::memcpy(&value, static_cast<const char*>(data) + i * sizeof value, sizeof value);
  return value;
}

// The session's view of the state that stands behind input `v`.
inline const perdure_state_view& state_of(const perdure_step& step, int32_t session,
                                          const perdure_value& v) {
  return step.sessions[session].states[v.state];
}

inline float* state_row(const perdure_state_view& view, int64_t index) {
  return reinterpret_cast<float*>(perdure_state_row(&view, index));
}

// Begins the parameter block of every row-wise kernel.
struct RowParams {
  bool outputs;  // rows are those that asked for logits
};

inline int64_t count_rows(const RowParams& params, const perdure_step& step) {
  return params.outputs ? step.n_outputs : step.n_rows;
}

// One item per row.
inline void divide_rows(const void* params, const perdure_step* step, perdure_work* work) {
  *work = {count_rows(*static_cast<const RowParams*>(params), *step), 1};
}

inline bool in_outputs(const perdure_value& v) { return v.kind == PERDURE_VALUE_OUTPUTS; }

// An entry of the plugin's table: a kernel without scratch and without packing.
template <typename Params>
constexpr perdure_kernel make_kernel(const char* name, const char* op,
                                     int (*prepare)(const perdure_node*, void*),
                                     void (*divide)(const void*, const perdure_step*,
                                                    perdure_work*),
                                     void (*run)(const perdure_call*, int64_t, int64_t, void*)) {
  perdure_kernel kernel{};
  kernel.struct_size = sizeof(perdure_kernel);
  kernel.name = name;
  kernel.op = op;
  kernel.isa = "scalar";
  kernel.params_bytes = sizeof(Params);
  kernel.prepare = prepare;
  kernel.divide = divide;
  kernel.run = run;
  return kernel;
}

// The kernels of each file.
std::span<const perdure_kernel> attend_kernels();
std::span<const perdure_kernel> elementwise_kernels();
std::span<const perdure_kernel> mat_mul_kernels();
std::span<const perdure_kernel> norm_kernels();
std::span<const perdure_kernel> position_kernels();
std::span<const perdure_kernel> quantize_kernels();
std::span<const perdure_kernel> state_kernels();

}  // namespace perdure::scalar
