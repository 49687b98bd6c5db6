// SPDX-License-Identifier: Apache-2.0

// The table of one instruction set.
#include "plugins/kernels/simd/isa/runs.hpp"

namespace perdure::simd::PERDURE_ISA {

const IsaTable kTable = {
    .add = run_add,
    .mul = run_mul,
    .silu_mul = run_silu_mul,
    .add_row = run_add_row,
    .mul_row = run_mul_row,
    .scale_rows = run_scale_rows,
    .sigmoid = run_sigmoid,
    .silu = run_silu,
    .tanh = run_tanh,
    .exp = run_exp,
    .gelu = run_gelu,
    .gelu_tanh = run_gelu_tanh,
    .relu_square = run_relu_square,
    .rms_norm = run_rms_norm,
    .group_norm = run_group_norm,
    .softmax = run_softmax,
    .rope = run_rope,
    .quantize = run_quantize,
    .quantize_q8_0 = run_quantize_q8_0,
    .quantize_q8_k = run_quantize_q8_k,
    .attend = run_attend,
    .mat_mul_f32 = run_mat_mul_f32,
    .mat_mul_f16 = run_mat_mul_f16,
    .mat_mul_bf16 = run_mat_mul_bf16,
    .mat_mul_f32_q80 = run_mat_mul_f32_q80,
    .mat_mul_q80 = run_mat_mul_q80,
};

}  // namespace perdure::simd::PERDURE_ISA
