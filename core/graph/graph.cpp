// SPDX-License-Identifier: Apache-2.0

#include "core/graph/graph.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace perdure {
namespace {

// Handles: the lower bits are the number of a value, those above say which builder gave it out.
constexpr int kNumberBits = 21;
constexpr int32_t kNumberMask = (1 << kNumberBits) - 1;
constexpr uint32_t kMarks = 1u << (31 - kNumberBits);

// Different for builders of which fewer than kMarks were made in between.
int32_t next_mark() {
  static std::atomic<uint32_t> n_builders{0};
  return static_cast<int32_t>((n_builders++ % kMarks) << kNumberBits);
}

bool equal_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

bool touches_state(const Graph& graph, const std::vector<Value>& inputs) {
  return std::any_of(inputs.begin(), inputs.end(),
                     [&](Value v) { return graph.info(v).origin == Origin::kState; });
}

void append_key(std::string& key, int64_t value) { key += "i" + std::to_string(value); }

void append_key(std::string& key, double value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  key += "r" + std::to_string(bits);
}

void append_key(std::string& key, const std::string& value) {
  key += "s" + std::to_string(value.size()) + ":" + value;
}

template <typename T>
void append_key(std::string& key, const std::vector<T>& values) {
  key += "[";
  for (const T& value : values) append_key(key, value);
  key += "]";
}

// Equal keys: the same operation on the same inputs with the same attributes, bit for bit.
std::string pure_key(std::string_view operation, const std::vector<Value>& inputs,
                     const Attributes& attributes) {
  std::string key(operation);
  for (const Value v : inputs) key += "|" + std::to_string(v.id);
  for (const auto& [name, value] : attributes) {
    key += "|" + name + "=";
    std::visit([&](const auto& v) { append_key(key, v); }, value);
  }
  return key;
}

ValueType constant_type(const perdure_tensor& t) {
  return {.kind = ValueKind::kConstant,
          .dtype = static_cast<perdure_dtype>(t.dtype),
          .rows = t.shape[0],
          .columns = t.shape[1],
          .group_size = t.group_size};
}

perdure_tensor f32_tensor(int64_t rows, int64_t columns, float* data) {
  perdure_tensor t{};
  t.struct_size = sizeof t;
  t.dtype = PERDURE_F32;
  t.rank = 2;
  t.shape[0] = rows;
  t.shape[1] = columns;
  t.shape[2] = t.shape[3] = 1;
  t.row_stride_bytes = columns * static_cast<int64_t>(sizeof(float));
  t.data = data;
  return t;
}

std::string part_text(int64_t first, int64_t count) {
  return std::to_string(first) + ":" + std::to_string(first + count);
}

void check_part(const ValueInfo& info, int64_t first, int64_t count, int64_t size,
                const char* what) {
  if (first < 0 || count < 1 || first > size || count > size - first)
    throw Error("'" + info.name + "' has " + std::to_string(size) + " " + what + "; " +
                std::to_string(count) + " from " + std::to_string(first) + " on are not in it");
}

// Lets `t` begin `bytes` later.
void skip(const ValueInfo& info, perdure_tensor& t, int64_t bytes) {
  if (t.group_size != 0 && bytes % t.group_size != 0)
    throw Error("a view of '" + info.name + "' would begin inside a group of " +
                std::to_string(t.group_size) + " values");
  if (t.data == nullptr) return;  // only described
  t.data = static_cast<char*>(t.data) + bytes;
  if (t.group_size == 0) return;
  t.scales =
      static_cast<char*>(t.scales) + bytes / t.group_size * static_cast<int64_t>(sizeof(float));
}

}  // namespace

void Graph::remove_node(size_t index) {
  const Node node = nodes.at(index);
  if (node.inputs.empty())
    throw Error("node " + std::to_string(index) + " has no input to stand in for it");
  if (node.results.size() > 1)
    throw Error("node " + std::to_string(index) +
                " has several results; nothing stands in for them");
  const Value stand_in = node.inputs[0], result = node.result();
  if (result.valid()) {
    const ValueType &in = info(stand_in).type, &out = info(result).type;
    if (in.columns != out.columns || in.kind != out.kind || in.dtype != out.dtype)
      throw Error("the first input of node " + std::to_string(index) +
                  " has another type than its result");
  }
  nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(index));
  for (Node& n : nodes)
    for (Value& v : n.inputs)
      if (result.valid() && v.id == result.id) v = stand_in;
  for (auto& [name, v] : outputs)
    if (result.valid() && v.id == result.id) v = stand_in;
}

std::vector<size_t> Graph::readers(Value v) const {
  std::vector<size_t> result;
  for (size_t i = 0; i < nodes.size(); ++i)
    for (const Value in : nodes[i].inputs)
      if (in.id == v.id) {
        result.push_back(i);
        break;
      }
  return result;
}

Builder::Builder(std::string graph_name, const OperationTable& operations, WeightLookup weights,
                 const StateTypes& states)
    : operations_(operations), weights_(std::move(weights)), states_(states), mark_(next_mark()) {
  graph_.name = std::move(graph_name);
}

Value Builder::marked(Value number) const { return {number.id | mark_}; }

Value Builder::number_of(Value handle, std::string_view what) const {
  const int32_t number = handle.id & kNumberMask;
  if (!handle.valid() || (handle.id & ~kNumberMask) != mark_ ||
      static_cast<size_t>(number) >= graph_.values.size())
    throw Error("[" + std::string(what) + "] was given a value of another graph");
  return {number};
}

std::vector<Value> Builder::numbers_of(const std::vector<Value>& handles,
                                       std::string_view what) const {
  std::vector<Value> numbers;
  for (const Value handle : handles) numbers.push_back(number_of(handle, what));
  return numbers;
}

Value Builder::add_value(ValueInfo info) {
  if (graph_.values.size() > static_cast<size_t>(kNumberMask))
    throw Error("the graph '" + graph_.name + "' has more values than a graph can have");
  graph_.values.push_back(std::move(info));
  return {static_cast<int32_t>(graph_.values.size() - 1)};
}

Value Builder::weight(std::string_view name) {
  if (const auto it = weight_names_.find(name); it != weight_names_.end())
    return marked(it->second);
  const perdure_tensor* t = weights_(name);
  if (!t) throw Error("the model has no weight '" + std::string(name) + "'");
  const Value v = add_value({constant_type(*t), Origin::kWeight, std::string(name), *t});
  weight_names_.emplace(name, v);
  return marked(v);
}

bool Builder::has_weight(std::string_view name) const { return weights_(name) != nullptr; }

const ValueInfo& Builder::viewable(Value weight) const {
  const ValueInfo& info = graph_.info(weight);
  if (info.type.kind != ValueKind::kConstant)
    throw Error("only weights and constants have views; cut rows of the step with op::slice");
  return info;
}

Value Builder::view(Value base, const perdure_tensor& tensor, const std::string& part) {
  const std::string key = std::to_string(base.id) + part;
  if (const auto it = views_.find(key); it != views_.end()) return it->second;
  const ValueInfo& info = graph_.info(base);
  const Value v = add_value({constant_type(tensor), info.origin, info.name + part, tensor});
  views_.emplace(key, v);
  return v;
}

Value Builder::weight_rows(Value handle, int64_t first, int64_t count) {
  const Value weight = number_of(handle, "weight_rows");
  const ValueInfo& info = viewable(weight);
  check_part(info, first, count, info.type.rows, "rows");
  perdure_tensor t = info.tensor;
  t.shape[0] = count;
  skip(info, t, first * t.row_stride_bytes);
  return marked(view(weight, t, "[" + part_text(first, count) + "]"));
}

Value Builder::weight_columns(Value handle, int64_t first, int64_t count) {
  const Value weight = number_of(handle, "weight_columns");
  const ValueInfo& info = viewable(weight);
  check_part(info, first, count, info.type.columns, "columns");
  perdure_tensor t = info.tensor;
  const int64_t together = t.group_size != 0 ? t.group_size : perdure_block_values(t.dtype);
  if (first % together != 0 || count % together != 0)
    throw Error("columns " + part_text(first, count) + " of '" + info.name +
                "' cut its groups of " + std::to_string(together) + " values in two");
  t.shape[1] = count;
  skip(info, t, perdure_row_bytes(t.dtype, first));
  return marked(view(weight, t, "[:, " + part_text(first, count) + "]"));
}

Value Builder::constant(std::string_view name, int64_t rows, int64_t columns,
                        std::vector<float> data) {
  if (static_cast<int64_t>(data.size()) != rows * columns)
    throw Error("the constant '" + std::string(name) + "' has " + std::to_string(data.size()) +
                " values, not " + std::to_string(rows) + " x " + std::to_string(columns));
  if (const auto it = constant_names_.find(name); it != constant_names_.end()) {
    const ValueInfo& known = graph_.info(it->second);
    if (known.type.rows != rows || !equal_bits(known.owned, data))
      throw Error("two constants are called '" + std::string(name) + "'");
    return marked(it->second);
  }
  ValueInfo info{{}, Origin::kConstant, std::string(name), {}, std::move(data)};
  // The vector's storage keeps its address when the ValueInfo moves.
  info.tensor = f32_tensor(rows, columns, info.owned.data());
  info.type = constant_type(info.tensor);
  const Value v = add_value(std::move(info));
  constant_names_.emplace(name, v);
  return marked(v);
}

Value Builder::state(std::string_view name) {
  if (const auto it = state_names_.find(name); it != state_names_.end()) return marked(it->second);
  const auto type = states_.find(name);
  if (type == states_.end())
    throw Error("no strategy declares the state '" + std::string(name) + "'");
  const Value v = add_value({type->second, Origin::kState, std::string(name), {}});
  state_names_.emplace(name, v);
  return marked(v);
}

const Operation& Builder::operation(std::string_view name) const {
  const Operation* found = operations_.find(name);
  if (!found) throw Error("there is no operation '" + std::string(name) + "'");
  return *found;
}

std::vector<ValueType> Builder::types_of(const std::vector<Value>& inputs) const {
  std::vector<ValueType> types;
  for (const Value v : inputs) types.push_back(graph_.info(v).type);
  return types;
}

std::vector<Value> Builder::add_node(const Operation& operation, const std::vector<Value>& inputs,
                                     Attributes attributes, const std::vector<ValueType>& types) {
  const bool pure = operation.kind == OperationKind::kRowWise && !types.empty() &&
                    operation.writes.empty() && !touches_state(graph_, inputs);
  const std::string key = pure ? pure_key(operation.name, inputs, attributes) : std::string();
  if (pure)
    if (const auto it = pure_.find(key); it != pure_.end()) return it->second;
  std::vector<Value> results;
  for (const ValueType& type : types) results.push_back(add_value({type, Origin::kNode, {}, {}}));
  graph_.nodes.push_back({&operation, inputs, std::move(attributes), results, author_});
  if (pure) pure_.emplace(key, results);
  return results;
}

Value Builder::apply(std::string_view name, const std::vector<Value>& handles,
                     Attributes attributes) {
  const Operation& op = operation(name);
  const std::vector<Value> inputs = numbers_of(handles, name);
  const auto types = op.result(types_of(inputs), attributes);
  if (types.size() > 1)
    throw Error("[" + std::string(name) + "] has " + std::to_string(types.size()) +
                " results; take them all with apply_all");
  const auto results = add_node(op, inputs, std::move(attributes), types);
  return results.empty() ? Value{} : marked(results[0]);
}

std::vector<Value> Builder::apply_all(std::string_view name, const std::vector<Value>& handles,
                                      Attributes attributes) {
  const Operation& op = operation(name);
  const std::vector<Value> inputs = numbers_of(handles, name);
  const auto types = op.result(types_of(inputs), attributes);
  std::vector<Value> results = add_node(op, inputs, std::move(attributes), types);
  for (Value& v : results) v = marked(v);
  return results;
}

const ValueType& Builder::type(Value value) const {
  return graph_.info(number_of(value, "type")).type;
}

void Builder::output(std::string_view name, Value value) {
  graph_.outputs[std::string(name)] = number_of(value, "output");
}

Graph Builder::finish() {
  std::vector<bool> needed(graph_.values.size(), false);
  for (const auto& [name, v] : graph_.outputs) needed[static_cast<size_t>(v.id)] = true;
  std::vector<Node> kept;
  for (auto it = graph_.nodes.rbegin(); it != graph_.nodes.rend(); ++it) {
    const bool writes = !it->operation->writes.empty();
    const bool read = std::any_of(it->results.begin(), it->results.end(),
                                  [&](Value v) { return needed[static_cast<size_t>(v.id)]; });
    if (!writes && !read) continue;
    for (const Value in : it->inputs) needed[static_cast<size_t>(in.id)] = true;
    kept.push_back(std::move(*it));
  }
  std::reverse(kept.begin(), kept.end());
  graph_.nodes = std::move(kept);
  for (Names* names : {&weight_names_, &constant_names_, &state_names_, &views_}) names->clear();
  pure_.clear();
  return std::move(graph_);
}

}  // namespace perdure
