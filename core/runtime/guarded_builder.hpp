// SPDX-License-Identifier: Apache-2.0

// The graph as a strategy sees it: everything but its outputs, which are the architecture's.
#pragma once

#include "core/api/graph.hpp"

namespace perdure {

// Passes every call on to `builder`, which it borrows.
class GuardedBuilder final : public GraphBuilder {
 public:
  explicit GuardedBuilder(GraphBuilder& builder) : builder_(builder) {}

  Value weight(std::string_view name) override { return builder_.weight(name); }
  bool has_weight(std::string_view name) const override { return builder_.has_weight(name); }
  Value weight_rows(Value weight, int64_t first, int64_t count) override {
    return builder_.weight_rows(weight, first, count);
  }
  Value weight_columns(Value weight, int64_t first, int64_t count) override {
    return builder_.weight_columns(weight, first, count);
  }
  Value constant(std::string_view name, int64_t rows, int64_t columns,
                 std::vector<float> data) override {
    return builder_.constant(name, rows, columns, std::move(data));
  }
  Value state(std::string_view name) override { return builder_.state(name); }
  Value apply(std::string_view operation, const std::vector<Value>& inputs,
              Attributes attributes) override {
    return builder_.apply(operation, inputs, std::move(attributes));
  }
  std::vector<Value> apply_all(std::string_view operation, const std::vector<Value>& inputs,
                               Attributes attributes) override {
    return builder_.apply_all(operation, inputs, std::move(attributes));
  }
  const ValueType& type(Value value) const override { return builder_.type(value); }

  // Nobody would read it. Errors: Error, always.
  void output(std::string_view name, Value) override {
    throw Error("a strategy cannot write the output '" + std::string(name) +
                "' of a graph; what a layer adds is what `mix` returns, what is kept is state");
  }

 private:
  GraphBuilder& builder_;
};

}  // namespace perdure
