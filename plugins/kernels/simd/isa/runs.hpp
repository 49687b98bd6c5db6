// SPDX-License-Identifier: Apache-2.0

// The functions of one instruction set, as its files define them and its table collects them.
#pragma once

#include "plugins/kernels/simd/isa/table.hpp"

namespace perdure::simd::PERDURE_ISA {

int run_add(const perdure_call*, int64_t, int64_t, void*);
int run_mul(const perdure_call*, int64_t, int64_t, void*);
int run_scale_rows(const perdure_call*, int64_t, int64_t, void*);
int run_sigmoid(const perdure_call*, int64_t, int64_t, void*);
int run_silu(const perdure_call*, int64_t, int64_t, void*);
int run_silu_mul(const perdure_call*, int64_t, int64_t, void*);
int run_tanh(const perdure_call*, int64_t, int64_t, void*);
int run_add_row(const perdure_call*, int64_t, int64_t, void*);
int run_mul_row(const perdure_call*, int64_t, int64_t, void*);
int run_exp(const perdure_call*, int64_t, int64_t, void*);
int run_gelu(const perdure_call*, int64_t, int64_t, void*);
int run_gelu_tanh(const perdure_call*, int64_t, int64_t, void*);
int run_relu_square(const perdure_call*, int64_t, int64_t, void*);
int run_group_norm(const perdure_call*, int64_t, int64_t, void*);
int run_softmax(const perdure_call*, int64_t, int64_t, void*);
int run_rms_norm(const perdure_call*, int64_t, int64_t, void*);
int run_rope(const perdure_call*, int64_t, int64_t, void*);
int run_quantize(const perdure_call*, int64_t, int64_t, void*);
int run_quantize_q8_0(const perdure_call*, int64_t, int64_t, void*);
int run_quantize_q8_k(const perdure_call*, int64_t, int64_t, void*);
int run_attend(const perdure_call*, int64_t, int64_t, void*);
int run_mat_mul_f32(const perdure_call*, int64_t, int64_t, void*);
int run_mat_mul_f16(const perdure_call*, int64_t, int64_t, void*);
int run_mat_mul_bf16(const perdure_call*, int64_t, int64_t, void*);
int run_mat_mul_f32_q80(const perdure_call*, int64_t, int64_t, void*);
int run_mat_mul_q80(const perdure_call*, int64_t, int64_t, void*);

}  // namespace perdure::simd::PERDURE_ISA
