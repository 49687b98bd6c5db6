// SPDX-License-Identifier: Apache-2.0

// Baseline parts of the plugin kernels.simd: how work divides, scratch and packed weights.
#pragma once

#include <cstddef>

#include "plugins/kernels/common/prepare.hpp"

namespace perdure::simd {

using namespace kernels;

// Row-wise work in ranges that are worth a call.
void divide_elements(const void* params, const perdure_step* step, perdure_work* work);

// Columns of the result, in ranges that are worth a call.
void divide_mat_mul(const void* params, const perdure_step* step, perdure_work* work);

size_t dequantised_scratch(const perdure_node* node, const void* params);
size_t q80_scratch(const perdure_node* node, const void* params);

// Weights of a norm as F32.
size_t norm_packed_bytes(const perdure_node* node, const void* params, uint32_t input);
void pack_norm(const perdure_node* node, const void* params, uint32_t input, void* packed);

// Every input [1, n] behind the first as F32.
size_t vector_packed_bytes(const perdure_node* node, const void* params, uint32_t input);
void pack_vector(const perdure_node* node, const void* params, uint32_t input, void* packed);

// Panels of isa/q80_layout.hpp: values as they are, or with 128 added.
size_t q80_packed_bytes(const perdure_node* node, const void* params, uint32_t input);
void pack_q80_signed(const perdure_node* node, const void* params, uint32_t input, void* packed);
void pack_q80_unsigned(const perdure_node* node, const void* params, uint32_t input, void* packed);

// Rows of key heads.
void divide_attend(const void* params, const perdure_step* step, perdure_work* work);
size_t attend_scratch(const perdure_node* node, const void* params);

}  // namespace perdure::simd
