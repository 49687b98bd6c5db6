// SPDX-License-Identifier: Apache-2.0

// Hugging Face folders of RWKV: config.json beside safetensors, in one file or in shards. Two ways
// of naming are known: that of transformers' versions 4 to 6 (RWKV/rwkv-4-*, RWKV/v5-Eagle-*,
// RWKV/v6-Finch-*), and that of flash-linear-attention's version 7 (RWKV7ForCausalLM).
#pragma once

#include <string>
#include <string_view>

#include "core/model/model.hpp"

namespace perdure {

// What BlinkDL's checkpoints call a tensor of such a folder; names that are none of theirs stay.
std::string blinkdl_name(std::string_view name);

// Whether the folder's config.json is that of an RWKV.
bool is_rwkv_folder(const std::string& folder);

// The model, which keeps the files. Errors: Error as rwkv_model, and for a configuration that asks
// for what cannot be computed or that contradicts the tensors, with path and key.
Model read_rwkv_folder(const std::string& folder);

}  // namespace perdure
