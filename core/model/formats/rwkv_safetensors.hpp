// SPDX-License-Identifier: Apache-2.0

// RWKV in one safetensors file under BlinkDL's names, everything as in his checkpoints.
#pragma once

#include <string>

#include "core/model/architectures/rwkv.hpp"
#include "core/model/formats/safetensors.hpp"
#include "core/model/model.hpp"

namespace perdure {

// A tensor of a file. Errors: Error if its type is none of weights.
RwkvTensor rwkv_tensor(const std::string& name, const SafetensorsTensor& tensor,
                       const std::string& path);

// Whether the tensors are RWKV's.
bool is_rwkv(const SafetensorsMap& tensors);

// A model whose weights point into the tensors' bytes. The metadata "gn_eps", if it is a number, is
// the eps of the group norm. Errors: as rwkv_model.
Model read_rwkv_safetensors(const SafetensorsMap& tensors, const SafetensorsMetadata& metadata,
                            const std::string& path);

}  // namespace perdure
