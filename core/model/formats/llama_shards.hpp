// SPDX-License-Identifier: Apache-2.0

// The safetensors files of a Hugging Face folder, and their tensors for llama_weights.hpp.
#pragma once

#include <string>
#include <vector>

#include "core/model/formats/llama_names.hpp"
#include "core/model/formats/llama_weights.hpp"
#include "core/model/formats/safetensors.hpp"

namespace perdure {

// Maps the files. Errors: Error as of huggingface_weight_files and SafetensorsFile.
std::vector<SafetensorsFile> open_llama_shards(const std::string& folder);

// No tensors yet; `names`, which must live as long, say what is missing.
LlamaTensors no_llama_tensors(const std::string& folder, const LlamaNames& names);

// Adds a tensor of a shard, which must live as long, under the name that `names` give it. Errors:
// Error naming the tensor if it is of a type that has no kernel, or in an earlier file already.
void add_llama_tensor(LlamaTensors& tensors, const LlamaNames& names, const SafetensorsFile& shard,
                      const std::string& name, const SafetensorsTensor& tensor);

// The builder's model, which keeps the files.
Model take_with_shards(ModelBuilder& builder, std::vector<SafetensorsFile>& shards);

}  // namespace perdure
