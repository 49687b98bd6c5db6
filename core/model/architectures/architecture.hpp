// SPDX-License-Identifier: Apache-2.0

// Architectures: what a family of models is, one file each and one line of the table in
// architecture.cpp. An entry reads metadata, says which strategy its models were trained for and
// makes a graph of their blocks. The mixing of tokens inside a block is the strategy's; residual
// stream, norms, feed-forward and classifier are the architecture's.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/graph.hpp"
#include "core/api/kernel.h"
#include "core/model/architectures/metadata.hpp"
#include "core/model/model.hpp"

namespace perdure {

// What the strategies put into a step graph.
struct StrategyNodes {
  // What mixing adds to the residual stream in a layer; both are [rows, hidden_size].
  std::function<Value(GraphBuilder& graph, int64_t layer, Value normed)> mix;
  // What a second block adds after it, or an invalid value; may be empty.
  std::function<Value(GraphBuilder& graph, int64_t layer, Value residual)> extra_block = {};
  // What becomes of the residual stream [rows, hidden_size] behind the last layer; may be empty.
  std::function<void(GraphBuilder& graph, Value residual)> finish = {};
  // States or weights that extra rows are read from, for row.source = 1, 2, ...
  std::vector<std::string> sources = {};
};

// The strategy that a model was trained for, and for layers that were trained for another, theirs.
struct TrainedStrategy {
  struct Layers {
    std::vector<int64_t> layers;
    std::string strategy;
  };

  std::string strategy;
  std::vector<Layers> others = {};
};

// An entry. Functions are pure unless they say otherwise; any thread.
struct Architecture {
  // The first is its own (ModelSpec::architecture); the others are what files call it:
  // general.architecture of GGUF, `architectures` of config.json.
  std::vector<std::string_view> names;
  // Fills spec.info and spec.intermediate_size. Errors: Error with the metadata's place and key.
  void (*read)(const Metadata& metadata, ModelSpec& spec) = nullptr;
  TrainedStrategy (*trained_strategy)(const Model& model) = nullptr;
  // Puts the step graph into `graph`; its output is "logits" [outputs, vocab_size] F32. `sources`:
  // the values of strategies.sources. Errors: Error for a missing weight.
  void (*build_step)(GraphBuilder& graph, const ModelSpec& spec, const StrategyNodes& strategies,
                     const std::vector<Value>& sources) = nullptr;
  // Operations that only its blocks need, each with a scalar kernel at least.
  std::vector<Operation> (*operations)() = nullptr;
  std::span<const perdure_kernel> (*kernels)() = nullptr;
  // Makes what a file holds the state that the model's sessions begin with (model.initial_state);
  // nullptr: there are no such files. Errors: Error and UsageError.
  void (*set_initial_state)(Model& model, const std::string& path) = nullptr;
};

// All of them. The table lives for ever.
std::span<const Architecture> architectures();
// By any of its names. Errors: Error that lists the known ones.
const Architecture& find_architecture(std::string_view name);

// What the architecture of that name makes of metadata; `format` is for people. Errors: as
// find_architecture, as Architecture::read.
ModelSpec read_spec(std::string_view architecture, const Metadata& metadata, std::string format);

// Puts the step graph of `spec` into `graph`. Errors: Error for an unknown architecture or a
// missing weight.
void build_step(GraphBuilder& graph, const ModelSpec& spec, const StrategyNodes& strategies);

// The sizes that models of every architecture have, under Hugging Face's names of config.json.
using NamedSizes = std::vector<std::pair<const char*, int64_t>>;
NamedSizes named_sizes(const ModelSpec& spec);

}  // namespace perdure
