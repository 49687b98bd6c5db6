// SPDX-License-Identifier: Apache-2.0

// A plan: a graph compiled for at most so many rows. One kernel per node, weights packed,
// activations placed in an arena by lifetime. Running it looks nothing up and allocates nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "core/base/buffer.hpp"
#include "core/base/json/json.hpp"
#include "core/graph/graph.hpp"
#include "core/runtime/kernel_choice.hpp"
#include "core/runtime/state_use.hpp"

namespace perdure {

// Packed weights, shared by all plans that use the same kernel, with the same parameters, for the
// same weight at the same input; a view of a weight is another weight. One thread while plans are
// compiled; read-only afterwards. What it has given stays where it is until it ends.
class PackedWeights {
 public:
  // Whether memory outlives `shared`, as a model's weights do and constants of a graph do not.
  using Lasts = std::function<bool(const void* data)>;

  // From now on, weights that last are packed in `shared`, which others may use too; nullptr: in
  // this one again.
  void share(PackedWeights* shared, Lasts lasts) {
    shared_ = shared;
    lasts_ = std::move(lasts);
  }
  // The packed form, made on first use; nullptr if the kernel does not pack that input.
  // Errors: Error if the kernel cannot pack it.
  const void* get(const ChosenKernel& chosen, const perdure_node& node, uint32_t input);
  size_t size_bytes() const { return size_bytes_; }

 private:
  // All that packing may depend on.
  struct Key {
    Key(const perdure_kernel& k, uint32_t i, const perdure_tensor& t, std::vector<std::byte> p);
    auto all() const;
    bool operator<(const Key& other) const;

    // Of the kernel what stays when its engine goes: tables are copied for every engine.
    const char* kernel;
    uintptr_t pack;
    const void* context;
    uint32_t input;
    perdure_tensor weight;
    std::vector<std::byte> params;
  };
  std::map<Key, Buffer> buffers_;
  PackedWeights* shared_ = nullptr;
  Lasts lasts_;
  size_t size_bytes_ = 0;
};

// Number of a state tensor in perdure_session.states, by name.
using StateNumbers = std::map<std::string, uint32_t, std::less<>>;

struct PlanNode {
  std::string operation;
  const perdure_kernel* kernel = nullptr;
  std::string plugin;  // that the kernel is of, as ChosenKernel says it
  std::vector<std::byte> params;
  std::vector<perdure_value> inputs, outputs;
  std::vector<int32_t> input_ids, output_ids;  // of the graph's values
  std::vector<const void*> packed;
  std::vector<StateUse> uses;
  std::string author;   // Node::author
  perdure_call call{};  // refers to the members above; step is filled per run

  // The measure of the node's items (enum perdure_items).
  struct Measure {
    bool of_outputs = false;
    int64_t columns = 1;
  };
  Measure measure;
  // The most items that the kernel may divide that step into.
  int64_t most_items(const perdure_step& step) const;
};

class Plan {
 public:
  // Borrows the graph (its constants), the chooser's kernels and the packed weights for its life.
  // The arena is the caller's, given by bind(). Errors: as KernelChooser::choose; Error if a kernel
  // cannot pack a weight, or asks for sizes that cannot be meant.
  Plan(const Graph& graph, int64_t max_rows, int64_t max_outputs, const KernelChooser& kernels,
       const StateNumbers& states, PackedWeights& packed);
  Plan(Plan&&) = default;

  const std::string& graph_name() const { return graph_name_; }
  int64_t max_rows() const { return max_rows_; }
  int64_t max_outputs() const { return max_outputs_; }
  size_t arena_bytes() const { return arena_bytes_; }
  size_t scratch_bytes() const { return scratch_bytes_; }  // per participant
  // `arena`: arena_bytes(), 64-byte aligned; may be shared by plans that never run at the same
  // time.
  void bind(std::byte* arena);

  std::vector<PlanNode>& nodes() { return nodes_; }
  const std::vector<PlanNode>& nodes() const { return nodes_; }
  // Rows of a named output of the last run, valid until the arena is used again. Requires: bound.
  const perdure_tensor& output(const std::string& name) const;
  // Bytes of weights that a run reads once, however many rows it has.
  int64_t weight_bytes() const { return weight_bytes_; }

  // One line per node: operation, kernel, result's place in the arena.
  std::string describe() const;
  // The same for scripts: {"max_rows", "max_outputs", "arena_bytes", "scratch_bytes",
  // "weight_bytes", "nodes": [{"operation", "kernel", "plugin", "packed_weights", "results"}]}; a
  // result has its size and its offset in the arena.
  Json describe_json() const;

 private:
  Json describe_node(const PlanNode& node) const;
  void place(const Graph& graph);
  PlanNode plan_node(const Graph& graph, const Node& node) const;
  void add_node(const Graph& graph, const Node& node, const KernelChooser& kernels,
                PackedWeights& packed);
  perdure_value value_of(const Graph& graph, Value v, const StateNumbers& states) const;

  std::string graph_name_;
  int64_t max_rows_, max_outputs_;
  size_t arena_bytes_ = 0, scratch_bytes_ = 0;
  int64_t weight_bytes_ = 0;
  std::vector<perdure_value> values_;  // by value id
  std::vector<size_t> data_offset_;    // by value id; kNotInArena for constants and states
  std::vector<size_t> scales_offset_;
  std::map<std::string, perdure_tensor> outputs_;
  std::map<std::string, int32_t> output_ids_by_name_;
  std::vector<PlanNode> nodes_;
};

}  // namespace perdure
