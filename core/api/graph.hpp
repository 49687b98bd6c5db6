// SPDX-License-Identifier: Apache-2.0

// The builder's interface: how strategies and architectures put nodes into a graph. `core/graph`
// implements it. Nodes are operations, edges are values. The leading dimension of a row value is
// symbolic: the rows of a step.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/api/error.hpp"
#include "core/api/types.h"

namespace perdure {

// A handle of a value of one graph. Cheap to copy; meaningless in another graph.
struct Value {
  int32_t id = -1;
  bool valid() const { return id >= 0; }
};

enum class ValueKind { kRows, kOutputs, kConstant, kState };

// The type of a value. For rows and outputs `columns` is the width of a row and `rows` is 0
// (symbolic); for constants and states `rows` x `columns` is the whole tensor (vectors: rows = 1;
// appended states: rows = 0).
struct ValueType {
  ValueKind kind = ValueKind::kRows;
  perdure_dtype dtype = PERDURE_F32;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t group_size = 0;  // Q80 only
};

// Named attributes of a node, in the order given. A kernel that does not list an attribute of a
// node among those it understands is not asked for that node (perdure_kernel.attributes): whoever
// adds an attribute to an operation leaves it out where it has its default, so that kernels that do
// not know it still serve the nodes that do not need it.
using AttributeValue =
    std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;
using Attribute = std::pair<std::string, AttributeValue>;
using Attributes = std::vector<Attribute>;

// Row-wise: row r of the output depends on row r of the inputs (and its row of a state). Per
// session: on all rows of the session.
enum class OperationKind { kRowWise, kPerSession };

// An operation: its name and what it makes of its inputs.
struct Operation {
  std::string name;
  OperationKind kind = OperationKind::kRowWise;
  // The types of the results; none if the operation only writes state.
  // Errors: throws Error naming the operation and the shapes when they do not fit.
  std::function<std::vector<ValueType>(const std::vector<ValueType>& inputs,
                                       const Attributes& attributes)>
      result;
  std::vector<int> writes = {};  // inputs (states) that it writes
};

// What a strategy or an architecture may do with a graph under construction. Not thread-safe.
class GraphBuilder {
 public:
  virtual ~GraphBuilder() = default;

  // A weight of the model by its GGUF-style name, e.g. "blk.0.attn_q.weight" [out, in].
  // Errors: Error that names the weight if the model has none of that name.
  virtual Value weight(std::string_view name) = 0;
  virtual bool has_weight(std::string_view name) const = 0;

  // Rows first .. first + count - 1 of a weight or constant, or so many of its columns: a value
  // that shares its data. Fused projections and experts are cut so. Errors: Error if they lie
  // beyond it, or if a group or block of quantised values would be cut in two.
  virtual Value weight_rows(Value weight, int64_t first, int64_t count) = 0;
  virtual Value weight_columns(Value weight, int64_t first, int64_t count) = 0;

  // A constant computed by the caller, [rows, columns] F32. Equal names must mean equal contents.
  // Weights, constants and states have names of their own each.
  virtual Value constant(std::string_view name, int64_t rows, int64_t columns,
                         std::vector<float> data) = 0;

  // A state tensor declared by a strategy. Errors: Error if no such state is declared.
  virtual Value state(std::string_view name) = 0;

  // Adds a node; returns its result (invalid handle for operations without result). Asking again
  // for the same pure row-wise node (operation, inputs, attributes) may return the value that is
  // already there. Errors: Error if the operation is unknown, the types do not fit, or the
  // operation has several results.
  virtual Value apply(std::string_view operation, const std::vector<Value>& inputs,
                      Attributes attributes = {}) = 0;
  // The same for operations with any number of results: all of them, in order.
  virtual std::vector<Value> apply_all(std::string_view operation, const std::vector<Value>& inputs,
                                       Attributes attributes = {}) = 0;

  virtual const ValueType& type(Value value) const = 0;

  // Writes `value` out of the step under `name`; the engine reads "logits".
  virtual void output(std::string_view name, Value value) = 0;
};

}  // namespace perdure
