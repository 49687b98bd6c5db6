// SPDX-License-Identifier: Apache-2.0

// The rows of memory around the tokens of a segment, as recurrent_memory asks for them and as the
// architecture `rmt` embeds them.
#pragma once

#include <cstdint>

namespace perdure {

// Roles of the rows in front of a segment's tokens and behind them; their perdure_row.index counts
// from 0 in each.
inline constexpr int32_t kReadRole = 1, kWriteRole = 2;

}  // namespace perdure
