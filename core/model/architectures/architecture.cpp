// SPDX-License-Identifier: Apache-2.0

// The table of architectures and its look-ups.
#include "core/model/architectures/architecture.hpp"

#include <algorithm>

#include "core/api/error.hpp"

namespace perdure {

// One line each; the definition is in the file of its name.
Architecture llama_architecture();
Architecture llama_mlm_architecture();
Architecture microrwkv_architecture();
Architecture rmt_architecture();
Architecture rwkv_architecture();

std::span<const Architecture> architectures() {
  static const Architecture table[] = {
      llama_architecture(), llama_mlm_architecture(), microrwkv_architecture(),
      rmt_architecture(),   rwkv_architecture(),
  };
  return table;
}

const Architecture& find_architecture(std::string_view name) {
  std::string known;
  for (const Architecture& entry : architectures()) {
    if (std::ranges::count(entry.names, name) > 0) return entry;
    known += (known.empty() ? "" : ", ") + std::string(entry.names.front());
  }
  throw Error("the architecture '" + std::string(name) + "' is unknown; known: " + known);
}

ModelSpec read_spec(std::string_view architecture, const Metadata& metadata, std::string format) {
  const Architecture& entry = find_architecture(architecture);
  ModelSpec spec;
  spec.format = std::move(format);
  spec.architecture = spec.info.architecture = entry.names.front();
  entry.read(metadata, spec);
  return spec;
}

void build_step(GraphBuilder& graph, const ModelSpec& spec, const StrategyNodes& strategies) {
  const Architecture& architecture = find_architecture(spec.architecture);
  std::vector<Value> sources;
  for (const std::string& name : strategies.sources)
    sources.push_back(graph.has_weight(name) ? graph.weight(name) : graph.state(name));
  architecture.build_step(graph, spec, strategies, sources);
}

NamedSizes named_sizes(const ModelSpec& spec) {
  const ModelInfo& info = spec.info;
  return {{"hidden_size", info.hidden_size},
          {"intermediate_size", spec.intermediate_size},
          {"num_hidden_layers", info.num_hidden_layers},
          {"num_attention_heads", info.num_attention_heads},
          {"num_key_value_heads", info.num_key_value_heads}};
}

}  // namespace perdure
