// SPDX-License-Identifier: Apache-2.0

// Writes a model as a checkpoint of the llama2.c family, quantising where the kind asks for it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/model/formats/llama2c_layout.hpp"
#include "core/model/model.hpp"

namespace perdure {

struct Q80Values {
  std::vector<int8_t> values;
  std::vector<float> scales;  // one per group
};

// Per group scale = max|w| / 127 and value = w / scale, rounded half to even; a group of zeros
// gives zeros. Requires: group_size divides the number of weights. Pure; any thread.
Q80Values quantize_q80(std::span<const float> weights, int64_t group_size);

// Writes `model` to `path`. `group_size` (kV2, kV2Mem) is halved until it divides both widths.
// Errors: Error if the kind cannot hold a weight or an option of the model, or the disk refuses.
void write_llama2c(const Model& model, Llama2cKind kind, int64_t group_size,
                   const std::string& path);

}  // namespace perdure
