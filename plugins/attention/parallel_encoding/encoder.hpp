// SPDX-License-Identifier: Apache-2.0

// The encoder of CEPE as nodes: a llama whose rows see all of their chunk, or the decoder's own
// layers, causal and without cross-attention.
// Source: princeton-nlp/CEPE, modeling_llama_flash.py.
#pragma once

#include <string>
#include <vector>

#include "core/api/model_info.hpp"
#include "sdk/rotary_attention.hpp"

namespace perdure {

class Encoder {
 public:
  // `rotation`: the decoder's, for the case that it encodes. Errors: Error if the model says
  // nothing of an encoder.
  Encoder(const ModelInfo& model, const RotaryOptions& rotation);

  // Its sizes; train_length is the longest chunk it was trained at.
  const ModelInfo& info() const { return info_; }

  // Reads the chunks of a step. The states of its rows, [rows, hidden_size]: its input, what goes
  // into each further layer, and behind the last one the result with the output norm, which is how
  // the original lists them: layers + 1 values.
  std::vector<Value> encode(GraphBuilder& g) const;

 private:
  Value mix(GraphBuilder& g, const std::string& block, Value x, Value place) const;

  bool is_decoder_;  // the decoder's own layers
  ModelInfo info_;
  std::string prefix_;  // of its weights' names
  RotaryProjections rotary_;
};

}  // namespace perdure
