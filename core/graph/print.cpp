// SPDX-License-Identifier: Apache-2.0

// Graphs for people, as text and Graphviz, and for scripts.
#include <sstream>

#include "core/base/dtype.hpp"
#include "core/base/json/json_write.hpp"
#include "core/graph/passes.hpp"

namespace perdure {
namespace {

std::string value_name(const Graph& graph, Value v) {
  const ValueInfo& info = graph.info(v);
  return info.origin == Origin::kNode ? "%" + std::to_string(v.id) : info.name;
}

std::string shape(const ValueType& t) {
  std::string rows = std::to_string(t.rows);
  if (t.kind == ValueKind::kRows) rows = "rows";
  if (t.kind == ValueKind::kOutputs) rows = "outputs";
  return std::string(dtype_name(t.dtype)) + "[" + rows + ", " + std::to_string(t.columns) + "]";
}

template <typename T>
void write(std::ostream& out, const T& value) {
  out << value;
}

template <typename T>
void write(std::ostream& out, const std::vector<T>& values) {
  out << "[";
  for (size_t i = 0; i < values.size(); ++i) out << (i ? ", " : "") << values[i];
  out << "]";
}

std::string attributes(const Node& node) {
  std::ostringstream out;
  for (const auto& [name, value] : node.attributes) {
    out << (out.tellp() == 0 ? " {" : ", ") << name << ": ";
    std::visit([&](const auto& v) { write(out, v); }, value);
  }
  return out.str().empty() ? "" : out.str() + "}";
}

Json json_rows(const ValueType& t) {
  if (t.kind == ValueKind::kRows) return json("rows");
  if (t.kind == ValueKind::kOutputs) return json("outputs");
  return json(t.rows);
}

Json json_value(const Graph& graph, Value v) {
  static constexpr const char* kOrigins[] = {"node", "weight", "constant", "state"};
  const ValueInfo& info = graph.info(v);
  const std::vector<Json> shape{json_rows(info.type), json(info.type.columns)};
  return object({member("name", value_name(graph, v)),
                 member("origin", kOrigins[static_cast<size_t>(info.origin)]),
                 member("type", dtype_name(info.type.dtype)), member("shape", shape)});
}

Json json_values(const Graph& graph, const std::vector<Value>& values) {
  Json::List list;
  for (const Value v : values) list.push_back(json_value(graph, v));
  return Json(std::move(list));
}

Json json_node(const Graph& graph, const Node& node) {
  Json::Map attributes;
  for (const auto& [name, value] : node.attributes)
    std::visit([&](const auto& v) { attributes.push_back(member(name, v)); }, value);
  return object({member("operation", node.operation->name), member("author", node.author),
                 member("inputs", json_values(graph, node.inputs)),
                 member("attributes", object(std::move(attributes))),
                 member("results", json_values(graph, node.results))});
}

}  // namespace

Json to_json(const Graph& graph) {
  Json::List nodes;
  for (const Node& node : graph.nodes) nodes.push_back(json_node(graph, node));
  Json::Map outputs;
  for (const auto& [name, v] : graph.outputs) outputs.push_back(member(name, json_value(graph, v)));
  return object({member("name", graph.name), member("nodes", nodes),
                 member("outputs", object(std::move(outputs)))});
}

std::string to_text(const Graph& graph) {
  std::ostringstream out;
  out << "graph " << graph.name << "\n";
  for (const Node& node : graph.nodes) {
    out << "  ";
    for (size_t i = 0; i < node.results.size(); ++i)
      out << (i ? ", " : "") << value_name(graph, node.results[i]) << " "
          << shape(graph.info(node.results[i]).type);
    if (!node.results.empty()) out << " = ";
    out << node.operation->name << "(";
    for (size_t i = 0; i < node.inputs.size(); ++i)
      out << (i ? ", " : "") << value_name(graph, node.inputs[i]);
    out << ")" << attributes(node) << "\n";
  }
  for (const auto& [name, v] : graph.outputs)
    out << "  output " << name << " = " << value_name(graph, v) << "\n";
  return out.str();
}

std::string to_dot(const Graph& graph) {
  std::ostringstream out;
  out << "digraph \"" << graph.name << "\" {\n  node [shape=box, fontname=monospace];\n";
  std::vector<int64_t> producer(graph.values.size(), -1);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    out << "  n" << i << " [label=\"" << node.operation->name << "\"];\n";
    for (const Value v : node.inputs) {
      const ValueInfo& info = graph.info(v);
      const std::string label = " [label=\"" + shape(info.type) + "\"];\n";
      if (info.origin == Origin::kNode) {
        out << "  n" << producer[static_cast<size_t>(v.id)] << " -> n" << i << label;
      } else {
        out << "  v" << v.id << " [label=\"" << info.name << "\", shape=ellipse];\n";
        out << "  v" << v.id << " -> n" << i << label;
      }
    }
    for (const Value result : node.results)
      producer[static_cast<size_t>(result.id)] = static_cast<int64_t>(i);
    for (const int w : node.operation->writes)
      out << "  n" << i << " -> v" << node.inputs[static_cast<size_t>(w)].id
          << " [style=dashed];\n";
  }
  for (const auto& [name, v] : graph.outputs) {
    out << "  \"" << name << "\" [shape=ellipse];\n";
    if (producer[static_cast<size_t>(v.id)] >= 0)
      out << "  n" << producer[static_cast<size_t>(v.id)] << " -> \"" << name << "\";\n";
  }
  out << "}\n";
  return out.str();
}

}  // namespace perdure
