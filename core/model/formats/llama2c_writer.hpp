// SPDX-License-Identifier: Apache-2.0

// Writes a model as a checkpoint of the llama2.c family, quantising where the kind asks for it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/base/write_file.hpp"
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

// Writes `model` to `path`, in pieces, under a name of its own until it has been read back.
// `group_size` (kV2, kV2Mem) is halved until it divides both widths. `keep_going` is told after
// every piece how many bytes of the model are done; false from it stops, nothing is left, and the
// result is false.
// Errors: Error if the kind cannot hold a weight or an option of the model, or the disk refuses.
bool write_llama2c(const Model& model, Llama2cKind kind, int64_t group_size,
                   const std::string& path, FileRules rules = {.mode = 0666},
                   const std::function<bool(int64_t bytes)>& keep_going = {});

}  // namespace perdure
