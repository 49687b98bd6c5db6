// SPDX-License-Identifier: Apache-2.0

// The table of architectures and its look-ups.
#include "core/model/architectures/architecture.hpp"

#include <algorithm>

#include "core/api/error.hpp"

namespace perdure {

// One line each; the definition is in the file of its name.
Architecture llama_architecture();
Architecture microrwkv_architecture();
Architecture rwkv_architecture();

std::span<const Architecture> architectures() {
  static const Architecture table[] = {
      llama_architecture(),
      microrwkv_architecture(),
      rwkv_architecture(),
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

namespace {

using Names = std::span<const std::string_view>;

bool any_begins(Names names, std::string_view prefix) {
  return std::ranges::any_of(names, [&](auto name) { return name.starts_with(prefix); });
}

[[noreturn]] void refuse_layer(const Architecture& entry, const std::string& why) {
  throw Error("the tensors look like those of '" + std::string(entry.names.front()) + "', but " +
              why + "; the model is of another architecture, which is not known here");
}

void check_layer(const Architecture& entry, const LayerTensors& layer, Names names) {
  for (std::string_view name : names) {
    if (!name.starts_with(layer.prefix)) continue;
    const std::string_view rest = name.substr(layer.prefix.size());
    if (std::ranges::count(layer.needed, rest) + std::ranges::count(layer.allowed, rest) == 0)
      refuse_layer(entry, "'" + std::string(name) + "' is none of them");
  }
  for (const std::string_view rest : layer.needed)
    if (const std::string name = std::string(layer.prefix) + std::string(rest);
        std::ranges::count(names, std::string_view(name)) == 0)
      refuse_layer(entry, "'" + name + "' is missing");
}

}  // namespace

const Architecture* recognise_architecture(std::span<const std::string_view> tensor_names) {
  for (const Architecture& entry : architectures()) {
    const bool begins = std::ranges::any_of(entry.tensor_prefixes, [&](std::string_view prefix) {
      return any_begins(tensor_names, prefix);
    });
    if (!begins) continue;
    for (const LayerTensors& layer : entry.layer_tensors)
      if (any_begins(tensor_names, layer.prefix)) check_layer(entry, layer, tensor_names);
    return &entry;
  }
  return nullptr;
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

}  // namespace perdure
