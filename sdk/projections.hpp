// SPDX-License-Identifier: Apache-2.0

// The products that attention is made of, with whatever the model has beside a weight: a bias, and
// for queries and keys a norm of each head. Strategies that project by these serve llama, qwen2 and
// qwen3 alike.
#pragma once

#include <cstdint>
#include <string>

#include "core/api/model_info.hpp"
#include "sdk/blocks.hpp"

namespace perdure {

// "blk.3.attn_k": the name of a layer's weight or state.
inline std::string layer_name(int64_t layer, const char* what) {
  return "blk." + std::to_string(layer) + "." + what;
}

// Errors: UsageError for a model whose layers have nothing to attend with.
inline void require_keys(const ModelInfo& model) {
  if (model.num_key_value_heads == 0)
    throw UsageError("attention.strategy: a model of the architecture '" + model.architecture +
                     "' has no queries and keys that attention could use; leave the strategy out "
                     "for the one it was trained for");
}

// x by the weight `name` ("attn_v") of a layer, plus its bias if the model has one.
// x [*, k]; result [*, n].
inline Value project(GraphBuilder& g, int64_t layer, const char* name, Value x) {
  return blocks::linear(g, layer_name(layer, name), x);
}

// The same for queries and keys, whose heads are normed if the model has `name`_norm.weight.
inline Value project_heads(GraphBuilder& g, const ModelInfo& model, int64_t layer, const char* name,
                           Value x) {
  const Value heads = project(g, layer, name, x);
  const std::string norm = layer_name(layer, name) + "_norm.weight";
  if (!g.has_weight(norm)) return heads;
  return op::rms_norm(g, heads, g.weight(norm), model.rms_norm_eps, model.head_size);
}

}  // namespace perdure
