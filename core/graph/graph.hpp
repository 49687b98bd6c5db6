// SPDX-License-Identifier: Apache-2.0

// A graph: nodes in an order that respects their inputs and the order in which state is read and
// written. No machine, no model and no strategy in it. Built through GraphBuilder, changed by the
// passes of passes.hpp, printed, and then compiled to plans by core/runtime.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/graph.hpp"
#include "core/graph/operation_table.hpp"

namespace perdure {

// Where a value comes from.
enum class Origin { kNode, kWeight, kConstant, kState };

struct ValueInfo {
  ValueType type;
  Origin origin = Origin::kNode;
  std::string name;               // weight, constant or state; empty for results of nodes
  perdure_tensor tensor;          // weights and constants: the borrowed data
  std::vector<float> owned = {};  // constants computed by the builder's caller
};

struct Node {
  const Operation* operation = nullptr;
  std::vector<Value> inputs;
  Attributes attributes;
  std::vector<Value> results;  // none for operations that only write state
  std::string author = {};     // who added it, for people; empty: the model's architecture

  // The only result; invalid if there are none or several.
  Value result() const { return results.size() == 1 ? results[0] : Value{}; }
};

struct Graph {
  std::string name;
  std::vector<ValueInfo> values;
  std::vector<Node> nodes;  // in execution order
  std::map<std::string, Value> outputs;

  const ValueInfo& info(Value v) const { return values[static_cast<size_t>(v.id)]; }

  // Takes node `index` out; readers of its result read its first input instead.
  // Errors: Error if the types of the two differ, the node has no input or several results.
  void remove_node(size_t index);

  // Nodes that read `v`, outputs not counted.
  std::vector<size_t> readers(Value v) const;
};

// The state tensors a graph may name, by name.
using StateTypes = std::map<std::string, ValueType, std::less<>>;
// A weight by name, or nullptr. The tensor and its data outlive the graph.
using WeightLookup = std::function<const perdure_tensor*(std::string_view)>;

// Builds one graph. One thread. The handles that it gives out carry a mark of this builder, so that
// a value kept from another graph is refused and not taken for the one that has its number here;
// the finished graph has plain numbers.
class Builder final : public GraphBuilder {
 public:
  // Borrows all three for its life.
  Builder(std::string graph_name, const OperationTable& operations, WeightLookup weights,
          const StateTypes& states);

  Value weight(std::string_view name) override;
  bool has_weight(std::string_view name) const override;
  Value weight_rows(Value weight, int64_t first, int64_t count) override;
  Value weight_columns(Value weight, int64_t first, int64_t count) override;
  Value constant(std::string_view name, int64_t rows, int64_t columns,
                 std::vector<float> data) override;
  Value state(std::string_view name) override;
  Value apply(std::string_view operation, const std::vector<Value>& inputs,
              Attributes attributes) override;
  std::vector<Value> apply_all(std::string_view operation, const std::vector<Value>& inputs,
                               Attributes attributes) override;
  const ValueType& type(Value value) const override;
  void output(std::string_view name, Value value) override;

  // Who adds the nodes from here on (Node::author).
  void set_author(std::string author) { author_ = std::move(author); }

  // Unused nodes are dropped. The builder is empty afterwards.
  Graph finish();

 private:
  // A number of this graph as the handle that is given out, and back. Errors: Error for the handle
  // of another graph.
  Value marked(Value number) const;
  Value number_of(Value handle, std::string_view what) const;
  std::vector<Value> numbers_of(const std::vector<Value>& handles, std::string_view what) const;

  // All of these take and give numbers.
  Value add_value(ValueInfo info);
  // `base` seen through `tensor`; `part` names it for people and among the views of `base`.
  Value view(Value base, const perdure_tensor& tensor, const std::string& part);
  const ValueInfo& viewable(Value weight) const;
  const Operation& operation(std::string_view name) const;
  std::vector<ValueType> types_of(const std::vector<Value>& inputs) const;
  // The node's results, or those of an equal pure node.
  std::vector<Value> add_node(const Operation& operation, const std::vector<Value>& inputs,
                              Attributes attributes, const std::vector<ValueType>& types);

  const OperationTable& operations_;
  WeightLookup weights_;
  const StateTypes& states_;
  int32_t mark_;  // bits of a handle above those of the number
  Graph graph_;
  std::string author_;
  using Names = std::map<std::string, Value, std::less<>>;
  Names weight_names_, constant_names_, state_names_;  // in use
  Names views_;                                        // by number of the base and part
  std::map<std::string, std::vector<Value>> pure_;     // results of nodes that may be shared
};

}  // namespace perdure
