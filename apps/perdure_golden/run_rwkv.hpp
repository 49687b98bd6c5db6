// SPDX-License-Identifier: Apache-2.0

// The numbers of RWKV's golden cases: logits and states, token by token, whole, and in pieces.
#pragma once

#include <string>
#include <vector>

#include "apps/perdure_golden/golden_set.hpp"
#include "apps/perdure_golden/judge.hpp"

namespace perdure::golden {

// A folder with model.safetensors, golden.safetensors and meta.json. Errors: as Engine, and for
// what is missing.
Outcome run_rwkv_model(const std::string& folder, const std::vector<std::string>& overrides);

// The file model-TYPE.bin of a folder beside golden.safetensors and meta.json, weights
// dequantised. Errors: likewise.
Outcome run_rwkv_bin(const std::string& folder, const std::string& type,
                     const std::vector<std::string>& overrides);

}  // namespace perdure::golden
