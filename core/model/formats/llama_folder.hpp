// SPDX-License-Identifier: Apache-2.0

// Hugging Face folders of llama's family: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM,
// Qwen3ForCausalLM, in F32, F16 or BF16.
#pragma once

#include <string>

#include "core/model/model.hpp"

namespace perdure {

// The model of a folder with config.json and safetensors in one file or in shards. Matrices point
// into the mapped files; scalings of the rotation and a window are in spec().strategy_options.
// Errors: Error, one sentence with the path and the key or tensor that is missing, contradicts
// others or is not supported.
Model read_llama_folder(const std::string& folder);

}  // namespace perdure
