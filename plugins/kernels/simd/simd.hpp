// SPDX-License-Identifier: Apache-2.0

// Baseline parts of the plugin kernels.simd: how work divides, scratch and packed weights.
#pragma once

#include <cstddef>

#include "plugins/kernels/common/prepare.hpp"

namespace perdure::simd {

using namespace kernels;

// Row-wise work in ranges that are worth a call.
void divide_elements(const perdure_call* call, perdure_work* work);

// Columns of the result, in ranges that are worth a call.
void divide_mat_mul(const perdure_call* call, perdure_work* work);

size_t dequantised_scratch(const perdure_node* node, const void* params);
size_t q80_scratch(const perdure_node* node, const void* params);
size_t block_scratch(const perdure_node* node, const void* params);

// Weights of a norm as F32.
size_t norm_packed_bytes(const perdure_node* node, const void* params, uint32_t input);
int pack_norm(const perdure_node* node, const void* params, uint32_t input, void* packed);

// Every input [1, n] behind the first as F32.
size_t vector_packed_bytes(const perdure_node* node, const void* params, uint32_t input);
int pack_vector(const perdure_node* node, const void* params, uint32_t input, void* packed);

// Panels of isa/q80_layout.hpp: values as they are, or with 128 added.
size_t q80_packed_bytes(const perdure_node* node, const void* params, uint32_t input);
int pack_q80_signed(const perdure_node* node, const void* params, uint32_t input, void* packed);
int pack_q80_unsigned(const perdure_node* node, const void* params, uint32_t input, void* packed);

// Attention to stretches of keys; lists of keys are left to the definition.
int prepare_attend_ranges(const perdure_node* node, void* params);
// Rows of key heads.
void divide_attend(const perdure_call* call, perdure_work* work);
size_t attend_scratch(const perdure_node* node, const void* params);

}  // namespace perdure::simd
