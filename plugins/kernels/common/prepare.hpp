// SPDX-License-Identifier: Apache-2.0

// How nodes are read when a plan is compiled, once for all kernel plugins of this tree: which nodes
// an operation's kernels take, and the kernels of operations that have no arithmetic worth an
// instruction set.
#pragma once

#include <span>

#include "plugins/kernels/common/attributes.hpp"
#include "plugins/kernels/common/node.hpp"

namespace perdure::kernels {

// `prepare` of each operation. They fill the block of their operation in node.hpp.
int prepare_unary(const perdure_node* node, void* params);
int prepare_binary(const perdure_node* node, void* params);
int prepare_scale_rows(const perdure_node* node, void* params);
int prepare_vector(const perdure_node* node, void* params);  // x and a weight [1, n]
int prepare_norm(const perdure_node* node, void* params);
int prepare_group_norm(const perdure_node* node, void* params);
int prepare_softmax(const perdure_node* node, void* params);  // fills NormParams
int prepare_rope(const perdure_node* node, void* params);
int prepare_quantize(const perdure_node* node, void* params);
int prepare_mat_mul_f32(const perdure_node* node, void* params);
int prepare_mat_mul_f16(const perdure_node* node, void* params);
int prepare_mat_mul_bf16(const perdure_node* node, void* params);
int prepare_mat_mul_f32_q80(const perdure_node* node, void* params);  // x F32, w Q80
int prepare_mat_mul_q80(const perdure_node* node, void* params);      // x Q80, w Q80
int prepare_attend(const perdure_node* node, void* params);           // attend and attend_weighing

// One item per row.
void divide_rows(const perdure_call* call, perdure_work* work);

// A kernel of "scalar" without scratch and without packing, for a built-in operation: it
// understands the attributes that attributes.hpp lists for that.
template <typename Params>
constexpr perdure_kernel operation_kernel(const char* name, const char* op,
                                          decltype(perdure_kernel::prepare) prepare,
                                          decltype(perdure_kernel::divide) divide,
                                          decltype(perdure_kernel::run) run,
                                          perdure_items items = PERDURE_ITEMS_ROWS) {
  perdure_kernel kernel = make_kernel<Params>(name, op, prepare, divide, run, attributes_of(op));
  kernel.items = items;
  return kernel;
}

// Kernels that only move rows and count positions; plugins for instruction sets offer them under
// their own names.
std::span<const perdure_kernel> position_kernels();
std::span<const perdure_kernel> range_kernels();
std::span<const perdure_kernel> state_kernels();
std::span<const perdure_kernel> column_kernels();
// Weights and activations in the blocks of GGUF, value by value: right before fast.
std::span<const perdure_kernel> block_kernels();

// attend and attend_weighing with everything they may be asked for: the definition.
std::span<const perdure_kernel> attend_kernels();

}  // namespace perdure::kernels
