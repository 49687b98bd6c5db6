// SPDX-License-Identifier: Apache-2.0

// Folders of CEPE (princeton-nlp/CEPE) as transformers saves them: LlamaForCausalContextLM, a llama
// with an encoder and cross-attention, and LlamaForMLM, the encoder alone with its head.
#pragma once

#include <string>

#include "core/model/model.hpp"

namespace perdure {

// The model of such a folder, whose matrices point into the mapped files. The decoder is a llama
// under the names of model.hpp; `blk.N.cross_attn_norm`, `_q`, `_k`, `_v` and `_output` are in its
// last layers, and the encoder is another llama under `enc.`. ModelInfo has
//   sizes: cross_attention.layers, cross_attention.hidden_states (1: the encoder's result alone),
//     encoder.is_model (1: the decoder's own layers encode), encoder.hidden_size,
//     encoder.num_hidden_layers, encoder.num_attention_heads, encoder.num_key_value_heads,
//     encoder.head_size, encoder.vocab_size, encoder.max_position_embeddings
//   reals: encoder.rope_theta, encoder.rms_norm_eps
// and the spec's strategy options `encode_mode`, where it is not context_only.
// Errors: Error, one sentence with the path and the key or tensor that is missing, contradicts
// others or is not supported.
Model read_cepe_folder(const std::string& folder);

}  // namespace perdure
