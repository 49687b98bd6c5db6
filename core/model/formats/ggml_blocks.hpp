// SPDX-License-Identifier: Apache-2.0

// Values to and from the types in which GGUF files store rows, bit for bit as ggml's reference
// quantisers (quantize_row_*_ref) and its de-quantisers do it. For tools that convert; the token
// loop reads blocks in place.
#pragma once

#include <cstddef>
#include <span>

#include "core/api/types.h"

namespace perdure {

// Values as a type that rows are stored in: F32, F16, BF16, Q8_0 to Q5_1, Q4_K to Q6_K. Requires:
// whole blocks of finite values, `out` of their bytes. Pure; any thread.
void encode_row(perdure_dtype dtype, std::span<const float> values, std::span<std::byte> out);

// The values of stored ones, which may be unaligned, rounded as ggml rounds them. Requires: a type
// as above, whole blocks, `out` of their values. Pure; any thread.
void decode_row(perdure_dtype dtype, std::span<const std::byte> stored, std::span<float> out);

// The blocks of 256 values alone (Q4_K, Q5_K, Q6_K). Requires: one block.
void encode_super_block(perdure_dtype dtype, const float* values, std::byte* out);

}  // namespace perdure
