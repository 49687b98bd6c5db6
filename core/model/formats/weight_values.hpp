// SPDX-License-Identifier: Apache-2.0

// The numbers behind a weight of any type, for tools that convert; the token loop reads weights in
// place.
#pragma once

#include <vector>

#include "core/model/model.hpp"

namespace perdure {

// All values of `weight`, row-major F32: exact for F32, F16 and BF16, value * scale for Q80.
// Errors: Error for I64 and for types that are stored in blocks (Q8_0, Q4_K, ...); it does not name
// the weight, which callers refuse themselves. Pure; any thread.
std::vector<float> weight_values(const Weight& weight);

}  // namespace perdure
