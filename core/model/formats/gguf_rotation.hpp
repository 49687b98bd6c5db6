// SPDX-License-Identifier: Apache-2.0

// How a GGUF file says that its model's rotation is scaled, in the words of the strategies'
// options.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/model/formats/gguf.hpp"
#include "core/model/model.hpp"

namespace perdure {

// Divisors of the frequencies that stand in tensors of a file, [rotated size / 2] each; empty where
// it has none.
struct GgufFrequencyFactors {
  std::vector<float> all;          // rope_freqs.weight
  std::vector<float> long_texts;   // rope_factors_long.weight
  std::vector<float> short_texts;  // rope_factors_short.weight
};

// Puts the scaling of the architecture's keys and of the factors into spec.strategy_options.
// Errors: Error naming the key that says what no option can.
void read_gguf_rotation(const Gguf& file, const std::string& architecture,
                        const GgufFrequencyFactors& factors, ModelSpec& spec);

}  // namespace perdure
