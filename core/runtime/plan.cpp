// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/plan.hpp"

#include <algorithm>
#include <sstream>
#include <tuple>
#include <type_traits>
#include <variant>

#include "core/base/dtype.hpp"
#include "core/base/json/json_write.hpp"
#include "core/runtime/plugin_guard.hpp"

namespace perdure {
namespace {

// Errors: as KernelChooser::choose; of a node that a plugin put into the graph the plugin is named.
ChosenKernel choose_for(const Node& node, const perdure_node& c_node,
                        const KernelChooser& kernels) {
  try {
    return kernels.choose(c_node);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& e) {
    if (node.author.empty()) throw;
    throw Error(std::string(e.what()) + "; " + node.author +
                " asks for it, with inputs or attributes that the operation does not have");
  }
}

constexpr size_t kNotInArena = SIZE_MAX;
// No kernel needs as much scratch, nor a weight so many times its size; more is a stray number.
constexpr size_t kMostScratch = size_t{1} << 30;
constexpr size_t kMostPackedTimes = 64;
constexpr size_t kMostPackedMore = size_t{1} << 20;
constexpr size_t kAlignment = 64;

size_t aligned(size_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

int64_t value_bytes(const perdure_tensor& t) {
  return t.shape[0] * perdure_row_bytes(t.dtype, t.shape[1]);
}

int64_t scale_bytes(const perdure_tensor& t) {
  return t.group_size ? t.shape[0] * t.shape[1] / t.group_size * int64_t{sizeof(float)} : 0;
}

int64_t tensor_bytes(const perdure_tensor& t) { return value_bytes(t) + scale_bytes(t); }

uint32_t value_kind(ValueKind kind) {
  switch (kind) {
    case ValueKind::kRows:
      return PERDURE_VALUE_ROWS;
    case ValueKind::kOutputs:
      return PERDURE_VALUE_OUTPUTS;
    case ValueKind::kState:
      return PERDURE_VALUE_STATE;
    case ValueKind::kConstant:
      break;
  }
  return PERDURE_VALUE_CONSTANT;
}

// Borrows the attribute's name and its list or text.
perdure_attribute c_attribute(const Attribute& attribute) {
  perdure_attribute a{};
  a.name = attribute.first.c_str();
  const auto fill = [&](const auto& value) {
    using T = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<T, int64_t>) {
      a.type = PERDURE_ATTRIBUTE_INT;
      a.i = value;
      a.f = static_cast<double>(value);
    } else if constexpr (std::is_same_v<T, double>) {
      a.type = PERDURE_ATTRIBUTE_REAL;
      a.f = value;
    } else if constexpr (std::is_same_v<T, std::string>) {
      a.type = PERDURE_ATTRIBUTE_STRING;
      a.string = value.c_str();
    } else {
      constexpr bool kInts = std::is_same_v<T, std::vector<int64_t>>;
      a.type = kInts ? PERDURE_ATTRIBUTE_INTS : PERDURE_ATTRIBUTE_REALS;
      a.n = static_cast<uint32_t>(value.size());
      if constexpr (kInts) a.ints = value.data();
      if constexpr (!kInts) a.reals = value.data();
    }
  };
  std::visit(fill, attribute.second);
  return a;
}

std::vector<perdure_attribute> c_attributes(const Attributes& attributes) {
  std::vector<perdure_attribute> result;
  for (const Attribute& attribute : attributes) result.push_back(c_attribute(attribute));
  return result;
}

// The node as its kernel's `prepare` sees it; borrows from both.
perdure_node c_node_of(const PlanNode& node, const std::vector<perdure_attribute>& attributes,
                       int64_t max_rows) {
  perdure_node c_node{};
  c_node.struct_size = sizeof c_node;
  c_node.op = node.operation.c_str();
  c_node.n_inputs = static_cast<uint32_t>(node.inputs.size());
  c_node.inputs = node.inputs.data();
  c_node.n_outputs = static_cast<uint32_t>(node.outputs.size());
  c_node.outputs = node.outputs.data();
  c_node.n_attributes = static_cast<uint32_t>(attributes.size());
  c_node.attributes = attributes.data();
  c_node.max_rows = max_rows;
  return c_node;
}

PlanNode::Measure measure_of(const PlanNode& node) {
  const auto& values = node.outputs.empty() ? node.inputs : node.outputs;
  if (values.empty()) return {};
  return {values[0].kind == PERDURE_VALUE_OUTPUTS, values[0].tensor.shape[1]};
}

// `bytes` that a kernel asks for. Errors: Error that names plugin, kernel and node.
size_t checked_size(size_t bytes, size_t most, const ChosenKernel& chosen, const perdure_node& node,
                    const char* what) {
  if (bytes > most)
    throw Error("the kernel '" + std::string(chosen.kernel->name) + "' of " + chosen.plugin +
                " wants " + std::to_string(bytes) + " bytes for " + what + " of a node '" +
                node.op + "', more than the " + std::to_string(most) + " that are sensible");
  return bytes;
}

// First-fit placement: a block is free again after the last node that reads it.
class ArenaPlanner {
 public:
  size_t place(size_t bytes, size_t first_node, size_t last_node) {
    std::vector<Block> busy;
    for (const Block& b : blocks_)
      if (b.first <= last_node && first_node <= b.last) busy.push_back(b);
    std::sort(busy.begin(), busy.end(),
              [](const Block& a, const Block& b) { return a.offset < b.offset; });
    size_t offset = 0;
    for (const Block& b : busy) {
      if (offset + bytes <= b.offset) break;
      offset = std::max(offset, b.offset + b.bytes);
    }
    blocks_.push_back({offset, bytes, first_node, last_node});
    size_ = std::max(size_, offset + bytes);
    return offset;
  }
  size_t size() const { return size_; }

 private:
  struct Block {
    size_t offset, bytes, first, last;
  };
  std::vector<Block> blocks_;
  size_t size_ = 0;
};

}  // namespace

PackedWeights::Key::Key(const perdure_kernel& k, uint32_t i, const perdure_tensor& t,
                        std::vector<std::byte> p)
    : kernel(k.name),
      pack(reinterpret_cast<uintptr_t>(k.pack)),
      context(k.context),
      input(i),
      weight(t),
      params(std::move(p)) {}

auto PackedWeights::Key::all() const {
  return std::tie(kernel, pack, context, input, weight.data, weight.scales, weight.dtype,
                  weight.shape[0], weight.shape[1], weight.row_stride_bytes, weight.group_size,
                  params);
}

bool PackedWeights::Key::operator<(const Key& other) const { return all() < other.all(); }

const void* PackedWeights::get(const ChosenKernel& chosen, const perdure_node& node,
                               uint32_t input) {
  const perdure_kernel& kernel = *chosen.kernel;
  const void* params = chosen.params.data();
  if (!kernel.packed_bytes || node.inputs[input].kind != PERDURE_VALUE_CONSTANT) return nullptr;
  const auto weight_bytes = static_cast<size_t>(tensor_bytes(node.inputs[input].tensor));
  const size_t bytes = checked_size(kernel.packed_bytes(&node, params, input),
                                    kMostPackedTimes * weight_bytes + kMostPackedMore, chosen, node,
                                    "the packed weight");
  if (bytes == 0) return nullptr;
  const perdure_tensor& weight = node.inputs[input].tensor;
  if (shared_ != nullptr && lasts_(weight.data)) return shared_->get(chosen, node, input);
  Buffer& kept = buffers_[{kernel, input, weight, chosen.params}];
  if (kept.size() == 0) {
    Buffer buffer(bytes);
    if (const int status = kernel.pack(&node, params, input, buffer.data()); status != PERDURE_OK)
      throw Error("the kernel '" + std::string(kernel.name) + "' of " + chosen.plugin +
                  " could not pack input " + std::to_string(input) + " of a node '" + node.op +
                  "' (status " + std::to_string(status) + "); choose another kernel for it");
    kept = std::move(buffer);
    size_bytes_ += bytes;
  }
  return kept.data();
}

Plan::Plan(const Graph& graph, int64_t max_rows, int64_t max_outputs, const KernelChooser& kernels,
           const StateNumbers& states, PackedWeights& packed)
    : graph_name_(graph.name), max_rows_(max_rows), max_outputs_(max_outputs) {
  for (size_t id = 0; id < graph.values.size(); ++id)
    values_.push_back(value_of(graph, {static_cast<int32_t>(id)}, states));
  place(graph);
  nodes_.reserve(graph.nodes.size());
  for (const Node& node : graph.nodes) add_node(graph, node, kernels, packed);
  for (const auto& [name, v] : graph.outputs) output_ids_by_name_[name] = v.id;
}

perdure_value Plan::value_of(const Graph& graph, Value v, const StateNumbers& states) const {
  const ValueInfo& info = graph.info(v);
  perdure_value value{};
  value.kind = value_kind(info.type.kind);
  value.tensor = info.tensor;
  if (info.origin == Origin::kWeight || info.origin == Origin::kConstant) return value;
  perdure_tensor& t = value.tensor;
  t.struct_size = sizeof t;
  t.dtype = info.type.dtype;
  t.rank = 2;
  t.shape[0] = info.type.rows;
  if (info.type.kind == ValueKind::kRows) t.shape[0] = max_rows_;
  if (info.type.kind == ValueKind::kOutputs) t.shape[0] = max_outputs_;
  t.shape[1] = info.type.columns;
  t.shape[2] = t.shape[3] = 1;
  t.group_size = info.type.group_size;
  t.row_stride_bytes = perdure_row_bytes(t.dtype, t.shape[1]);
  if (t.row_stride_bytes == 0)
    throw Error("a value of the graph '" + graph.name + "' has rows of " +
                std::to_string(t.shape[1]) + " values of type " + dtype_name(t.dtype) +
                ", which have no size");
  if (info.origin == Origin::kState) value.state = states.at(info.name);
  return value;
}

void Plan::place(const Graph& graph) {
  const size_t n_nodes = graph.nodes.size();
  std::vector<size_t> last_use(graph.values.size(), 0);
  for (size_t i = 0; i < n_nodes; ++i)
    for (const Value v : graph.nodes[i].inputs) last_use[static_cast<size_t>(v.id)] = i;
  for (const auto& [name, v] : graph.outputs) last_use[static_cast<size_t>(v.id)] = n_nodes;
  data_offset_.assign(graph.values.size(), kNotInArena);
  scales_offset_.assign(graph.values.size(), kNotInArena);
  ArenaPlanner planner;
  for (size_t i = 0; i < n_nodes; ++i) {
    for (const Value v : graph.nodes[i].results) {
      const auto id = static_cast<size_t>(v.id);
      const perdure_tensor& t = values_[id].tensor;
      const size_t data = aligned(static_cast<size_t>(value_bytes(t)));
      const size_t total = data + aligned(static_cast<size_t>(scale_bytes(t)));
      data_offset_[id] = planner.place(std::max(total, kAlignment), i, std::max(i, last_use[id]));
      if (t.group_size) scales_offset_[id] = data_offset_[id] + data;
    }
  }
  arena_bytes_ = planner.size();
}

PlanNode Plan::plan_node(const Graph& graph, const Node& node) const {
  PlanNode result{
      .operation = node.operation->name, .uses = state_uses(graph, node), .author = node.author};
  for (const Value v : node.inputs) {
    result.inputs.push_back(values_[static_cast<size_t>(v.id)]);
    result.input_ids.push_back(v.id);
  }
  for (const Value v : node.results) {
    result.outputs.push_back(values_[static_cast<size_t>(v.id)]);
    result.output_ids.push_back(v.id);
  }
  result.measure = measure_of(result);
  return result;
}

void Plan::add_node(const Graph& graph, const Node& node, const KernelChooser& kernels,
                    PackedWeights& packed) {
  PlanNode result = plan_node(graph, node);
  const auto attributes = c_attributes(node.attributes);
  perdure_node c_node = c_node_of(result, attributes, max_rows_);
  ChosenKernel chosen = choose_for(node, c_node, kernels);
  result.kernel = chosen.kernel;
  result.plugin = chosen.plugin;
  c_node.context = chosen.kernel->context;
  const PluginCall call(result.plugin, chosen.kernel->name);
  for (uint32_t i = 0; i < c_node.n_inputs; ++i) {
    result.packed.push_back(packed.get(chosen, c_node, i));
    // Rows are looked up in tables, of which a run reads little.
    if (graph.info(node.inputs[i]).origin == Origin::kWeight && result.operation != "row_input")
      weight_bytes_ += tensor_bytes(result.inputs[i].tensor);
  }
  if (result.kernel->scratch_bytes)
    scratch_bytes_ = std::max(
        scratch_bytes_, checked_size(result.kernel->scratch_bytes(&c_node, chosen.params.data()),
                                     kMostScratch, chosen, c_node, "the scratch"));
  result.params = std::move(chosen.params);
  nodes_.push_back(std::move(result));
}

void Plan::bind(std::byte* arena) {
  for (size_t id = 0; id < values_.size(); ++id) {
    if (data_offset_[id] == kNotInArena) continue;
    values_[id].tensor.data = arena + data_offset_[id];
    if (scales_offset_[id] != kNotInArena) values_[id].tensor.scales = arena + scales_offset_[id];
  }
  for (PlanNode& node : nodes_) {
    for (size_t i = 0; i < node.inputs.size(); ++i)
      node.inputs[i] = values_[static_cast<size_t>(node.input_ids[i])];
    for (size_t i = 0; i < node.outputs.size(); ++i)
      node.outputs[i] = values_[static_cast<size_t>(node.output_ids[i])];
    node.call = {};
    node.call.struct_size = sizeof node.call;
    node.call.params = node.params.data();
    node.call.n_inputs = static_cast<uint32_t>(node.inputs.size());
    node.call.inputs = node.inputs.data();
    node.call.packed = node.packed.data();
    node.call.outputs = node.outputs.data();
    node.call.context = node.kernel->context;
  }
  for (const auto& [name, id] : output_ids_by_name_)
    outputs_[name] = values_[static_cast<size_t>(id)].tensor;
}

int64_t PlanNode::most_items(const perdure_step& step) const {
  const int64_t m = measure.of_outputs ? step.n_outputs : step.n_rows;
  if (kernel->items == PERDURE_ITEMS_ROWS) return m;
  return kernel->items == PERDURE_ITEMS_COLUMNS ? measure.columns : m * measure.columns;
}

const perdure_tensor& Plan::output(const std::string& name) const { return outputs_.at(name); }

std::string Plan::describe() const {
  std::ostringstream out;
  out << "plan for up to " << max_rows_ << " rows: " << nodes_.size() << " nodes, arena "
      << arena_bytes_ << " bytes, scratch " << scratch_bytes_ << " bytes per thread\n";
  for (size_t n = 0; n < nodes_.size(); ++n) {
    out << "  " << nodes_[n].operation << " by " << nodes_[n].kernel->name;
    for (const int32_t id : nodes_[n].output_ids)
      out << ", " << tensor_bytes(values_[static_cast<size_t>(id)].tensor) << " bytes at "
          << data_offset_[static_cast<size_t>(id)];
    for (const void* p : nodes_[n].packed)
      if (p) out << ", packed weight";
    out << "\n";
  }
  return out.str();
}

Json Plan::describe_node(const PlanNode& node) const {
  Json::List results;
  for (const int32_t id : node.output_ids)
    results.push_back(
        object({member("bytes", tensor_bytes(values_[static_cast<size_t>(id)].tensor)),
                member("offset", data_offset_[static_cast<size_t>(id)])}));
  const auto packed = std::count_if(node.packed.begin(), node.packed.end(),
                                    [](const void* weight) { return weight != nullptr; });
  return object({member("operation", node.operation), member("kernel", node.kernel->name),
                 member("plugin", node.plugin), member("packed_weights", packed),
                 member("results", results)});
}

Json Plan::describe_json() const {
  Json::List nodes;
  for (const PlanNode& node : nodes_) nodes.push_back(describe_node(node));
  return object({member("max_rows", max_rows_), member("max_outputs", max_outputs_),
                 member("arena_bytes", arena_bytes_), member("scratch_bytes", scratch_bytes_),
                 member("weight_bytes", weight_bytes_), member("nodes", nodes)});
}

}  // namespace perdure
