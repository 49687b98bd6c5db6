// SPDX-License-Identifier: Apache-2.0

// Rotation frequencies as the original programs compute them (specification of llama2Rnn, sections
// 2 and 4).
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace perdure {

// theta^(-2i / head_size) for i = 0 .. head_size/2 - 1, F32 throughout.
inline std::vector<float> rope_frequencies(int64_t head_size, double theta) {
  std::vector<float> f(static_cast<size_t>(head_size / 2));
  for (int64_t i = 0; i < head_size / 2; ++i)
    f[i] = 1.0f / std::pow(static_cast<float>(theta),
                           static_cast<float>(2 * i) / static_cast<float>(head_size));
  return f;
}

}  // namespace perdure
