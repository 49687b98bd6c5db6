// SPDX-License-Identifier: Apache-2.0

// The Recurrent Memory Transformer around a llama in one safetensors file: `memory_cell.memory`,
// and behind `memory_cell.model.` the llama's own tensors, under Hugging Face's names or
// llama2.c's.
#pragma once

#include <string>

#include "core/model/formats/safetensors.hpp"
#include "core/model/model.hpp"

namespace perdure {

// Whether the tensors are those of such a model.
bool is_rmt(const SafetensorsMap& tensors);

// A llama with the weight `recurrent_memory` [M, d], F32, whose matrices point into the tensors'
// bytes. Its sizes stand in a JSON file: with Hugging Face's names in config.json in the same
// folder, else in NAME.json beside it, whose "args" are llama2Rnn's; in both `rmt.segment_size` is
// the number of tokens between the two blocks of memory. ModelInfo::sizes has it under this name,
// and M as `rmt.num_mem_tokens`. Errors: Error, one sentence with the path and the tensor or JSON
// key that is missing, unknown or does not fit the others.
//
// A file with `memory_cell.memory` alone goes with a llama in any format: `rmt.model` in NAME.json
// is the path of that, relative to the JSON. Errors: besides, as read_model.
Model read_rmt_safetensors(const SafetensorsMap& tensors, const std::string& path);

}  // namespace perdure
