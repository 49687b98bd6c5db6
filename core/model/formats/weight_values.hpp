// SPDX-License-Identifier: Apache-2.0

// The numbers behind a weight of any type, for tools that convert; the token loop reads weights in
// place.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/model/model.hpp"

namespace perdure {

// All values of `weight`, row-major F32: exact for F32, F16 and BF16, value * scale for Q80, as
// ggml rounds them for types that are stored in blocks (Q8_0, Q4_K, ...).
// Errors: Error for I64; it does not name the weight. Pure; any thread.
std::vector<float> weight_values(const Weight& weight);

// Those of one row. Requires: `values` of as many as the weight has columns. Errors: as above.
void weight_row(const Weight& weight, int64_t row, std::span<float> values);

}  // namespace perdure
