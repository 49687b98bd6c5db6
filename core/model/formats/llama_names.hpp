// SPDX-License-Identifier: Apache-2.0

// What files call a llama's tensors, to and from the names of model.hpp.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace perdure {

struct LlamaNames {
  struct Renaming {
    std::string_view theirs, ours;
  };

  std::string_view layers;            // what stands before the number of a layer
  std::span<const Renaming> outside;  // of the layers: whole names
  std::span<const Renaming> inside;   // behind the number, without ".weight" or ".bias"

  // "model.layers.3.self_attn.q_proj.weight" -> "blk.3.attn_q.weight". A name that is none of
  // theirs gets a mark, so that it is no name of model.hpp either. Pure; any thread.
  std::string own(const std::string& name) const;
  // The other way, for messages. Requires: one of our names of a llama. Pure; any thread.
  std::string in_file(const std::string& name) const;
};

// Of transformers: llama, and with norms of heads Qwen 3.
extern const LlamaNames kHuggingFaceNames;
extern const LlamaNames kHuggingFaceLlamaNames;
// Of CEPE: the decoder, or the encoder alone with its head; the encoder beside a decoder.
extern const LlamaNames kCepeNames;
extern const LlamaNames kCepeEncoderNames;
// Of llama2.c's checkpoints before their export.
extern const LlamaNames kLlama2cNames;

}  // namespace perdure
