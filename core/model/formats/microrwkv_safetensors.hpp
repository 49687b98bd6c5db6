// SPDX-License-Identifier: Apache-2.0

// MicroRWKV in one safetensors file under the names of its checkpoints' state_dict.
#pragma once

#include <string>

#include "core/model/formats/safetensors.hpp"
#include "core/model/model.hpp"

namespace perdure {

// Whether the tensors are MicroRWKV's.
bool is_microrwkv(const SafetensorsMap& tensors);

// A model whose matrices point into the tensors' bytes. Its sizes are those of the tensors:
// train_length is block_size; sizes["num_experts"] are the experts that there are, the original's
// num_active_experts. Weights, beside those of model.hpp:
//
//   position_embd.weight [block_size, C]
//   time_mix_lerp [4, C]: k v r g      channel_mix_lerp [2, C]: k r
//   time_mix_{receptance,key,value,gate,output}.weight [C, C]
//   time_mix_decay, time_mix_first [1, C]: decay and bonus of a head for each of its channels
//   time_mix_ln.weight, .bias [1, C]
//   channel_mix_key.weight [3C, C]     channel_mix_value.weight [C, 3C]
//   channel_mix_receptance.weight [C, C]
//   window_qkv.weight [3C, C]          window_output.weight [C, C]
//   group_qkvw.weight [4C, C]          group_output.weight [C, C]
//   ffn_gate.weight [experts, C]       ffn_expert.N.weight [X, C]     ffn_output.weight [C, X]
//
// Errors: Error, one sentence with the path and the tensor that is missing, of another type or of a
// shape that contradicts the others.
Model read_microrwkv_safetensors(const SafetensorsMap& tensors, const std::string& path);

}  // namespace perdure
