// SPDX-License-Identifier: Apache-2.0

// How nodes are read when a plan is compiled, once for all kernel plugins of this tree: which nodes
// an operation's kernels take, and the kernels of operations that have no arithmetic worth an
// instruction set.
#pragma once

#include <span>

#include "plugins/kernels/common/node.hpp"

namespace perdure::kernels {

// A value with one row for each row (or output) of the step, of the given type.
inline bool is_rows(const perdure_value& v, perdure_dtype dtype) {
  return (v.kind == PERDURE_VALUE_ROWS || v.kind == PERDURE_VALUE_OUTPUTS) &&
         v.tensor.dtype == static_cast<uint32_t>(dtype);
}

inline bool in_outputs(const perdure_value& v) { return v.kind == PERDURE_VALUE_OUTPUTS; }

inline bool is_constant(const perdure_value& v, perdure_dtype dtype) {
  return v.kind == PERDURE_VALUE_CONSTANT && v.tensor.dtype == static_cast<uint32_t>(dtype);
}

inline bool is_weight(const perdure_value& v) {
  return v.kind == PERDURE_VALUE_CONSTANT && v.tensor.dtype != PERDURE_I64;
}

inline bool is_state(const perdure_value& v) {
  return v.kind == PERDURE_VALUE_STATE && v.tensor.dtype == PERDURE_F32;
}

// `prepare` of each operation. They fill the block of their operation in node.hpp.
int prepare_unary(const perdure_node* node, void* params);
int prepare_binary(const perdure_node* node, void* params);
int prepare_scale_rows(const perdure_node* node, void* params);
int prepare_norm(const perdure_node* node, void* params);
int prepare_rope(const perdure_node* node, void* params);
int prepare_quantize(const perdure_node* node, void* params);
int prepare_mat_mul_f32(const perdure_node* node, void* params);
int prepare_mat_mul_f16(const perdure_node* node, void* params);
int prepare_mat_mul_bf16(const perdure_node* node, void* params);
int prepare_mat_mul_f32_q80(const perdure_node* node, void* params);  // x F32, w Q80
int prepare_mat_mul_q80(const perdure_node* node, void* params);      // x Q80, w Q80
int prepare_attend(const perdure_node* node, void* params);

// One item per row.
void divide_rows(const void* params, const perdure_step* step, perdure_work* work);

// A kernel of "scalar" without scratch and without packing.
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

// Kernels that only move rows and count positions; plugins for instruction sets offer them under
// their own names.
std::span<const perdure_kernel> position_kernels();
std::span<const perdure_kernel> range_kernels();
std::span<const perdure_kernel> state_kernels();

}  // namespace perdure::kernels
