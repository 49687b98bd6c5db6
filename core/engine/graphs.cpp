// SPDX-License-Identifier: Apache-2.0

// From what a model and its strategies declare to graphs, checked before anything is planned.
#include <algorithm>

#include "core/base/dtype.hpp"
#include "core/engine/engine_impl.hpp"
#include "core/graph/passes.hpp"
#include "core/model/architectures/architecture.hpp"
#include "core/runtime/kernel_table_check.hpp"

namespace perdure {
namespace {

// What the strategies agree on for a phase; 0 if none has it.
int64_t common_phase_rows(std::span<const ConfiguredStrategy> strategies, Phase phase,
                          const char* name) {
  int64_t rows = 0;
  for (const auto& s : strategies) {
    const int64_t own = s.strategy ? s.strategy->phase_rows(phase) : 0;
    if (own != 0 && rows != 0 && own != rows)
      throw UsageError("the strategies of attention.layers have '" + std::string(name) +
                       "' graphs of " + std::to_string(rows) + " and " + std::to_string(own) +
                       " rows; they must have as many" + s.author());
    rows = std::max(rows, own);
  }
  return rows;
}

// What is added to a graph while it lives is the strategy's.
class Authorship {
 public:
  Authorship(Builder& b, const ConfiguredStrategy& s) : b_(b) { b_.set_author(s.origin.text()); }
  ~Authorship() { b_.set_author({}); }
  Authorship(const Authorship&) = delete;

 private:
  Builder& b_;
};

// The sentence ends with who declared what is wrong with it.
template <typename Judge>
void judged(const ConfiguredStrategy& s, const Judge& judge) {
  try {
    judge();
  } catch (const Error& error) {
    if (s.author().empty()) throw;
    throw Error(error.what() + s.author());
  }
}

// Whether a node is a `state_write` to the rows that this operation numbers, as they are.
bool writes_at(const Graph& graph, const Node& node, std::string_view places) {
  if (node.operation->name != "state_write") return false;
  const auto maker = std::ranges::find_if(
      graph.nodes, [&](const Node& other) { return other.result().id == node.inputs[2].id; });
  return maker != graph.nodes.end() && maker->operation->name == places &&
         std::ranges::all_of(maker->attributes, [](const Attribute& attribute) {
           return attribute.second == AttributeValue(int64_t{0});
         });
}

}  // namespace

void Engine::Impl::add_architecture_operations() {
  const Architecture& architecture = find_architecture(model.spec().architecture);
  if (architecture.operations != nullptr)
    for (auto& operation : architecture.operations()) operations.add(std::move(operation));
  if (architecture.kernels == nullptr) return;
  const auto kernels = architecture.kernels();
  own_kernels.push_back({"architecture." + model.spec().architecture, "an architecture",
                         read_kernels(kernels.data(), kernels.size())});
}

// Collects what the strategies state: tensors, extra rows, operations and kernels, phases.
void Engine::Impl::gather_declarations() {
  std::vector<StateSpec> specs;
  std::vector<const AttentionPlugin*> registered;
  add_architecture_operations();
  for (const auto& s : strategies) {
    if (!s.strategy) continue;
    for (const InputStream& stream : s.strategy->input_streams())
      judged(s, [&] { add_input(stream); });
    for (const auto& extra : s.strategy->extra_rows()) {
      sources.push_back(extra.source);
      extra_rows.push_back({extra, static_cast<int32_t>(sources.size())});
      (extra.when == ExtraRows::When::kBegin ? begin_extra : end_extra) += extra.count;
    }
    if (std::find(registered.begin(), registered.end(), s.plugin) != registered.end()) continue;
    registered.push_back(s.plugin);
    for (auto& operation : s.plugin->operations())
      judged(s, [&] { operations.add(std::move(operation)); });
    const auto kernels = s.plugin->kernels();
    own_kernels.push_back({"attention." + std::string(s.plugin->name()),
                           s.origin.file.empty() ? "built in" : s.origin.file,
                           read_kernels(kernels.data(), kernels.size())});
  }
  check_own_kernels();
  init_rows = common_phase_rows(strategies, Phase::kInit, "init");
  begin_rows = common_phase_rows(strategies, Phase::kBegin, "begin");
  end_rows = common_phase_rows(strategies, Phase::kEnd, "end");
  prompt_end_rows = common_phase_rows(strategies, Phase::kPromptEnd, "prompt_end");
  max_rows = std::max(settings.step.max_rows, traits.window_length) + begin_extra + end_extra;
  for (const auto& s : strategies) {
    if (!s.strategy) continue;
    for (auto& spec : s.strategy->states()) specs.push_back(std::move(spec));
    judged(s, [&] { layout.emplace(specs, max_rows, settings.state.max_bytes); });
  }
  for (size_t i = 0; i < layout->specs().size(); ++i) {
    const StateSpec& spec = layout->specs()[i];
    state_types[spec.name] = {.kind = ValueKind::kState,
                              .rows = spec.growth == Growth::kFixed ? spec.rows : 0,
                              .columns = spec.columns};
    state_numbers[spec.name] = static_cast<uint32_t>(i);
  }
  for (const auto& s : strategies)
    if (s.strategy)
      for (const ExtraRows& extra : s.strategy->extra_rows())
        judged(s, [&] { check_source(extra); });
  check_inputs();
}

// Errors: Error if a strategy brings a kernel for an operation that is neither its own nor known
// here. It would never run, most likely for a misspelt name.
void Engine::Impl::check_own_kernels() const {
  for (const PluginHost::KernelSet& set : own_kernels)
    for (const perdure_kernel& kernel : set.kernels)
      if (operations.find(kernel.op) == nullptr)
        throw Error("the plugin " + set.plugin + " (" + set.origin + ") brings the kernel '" +
                    kernel.name + "' for the operation '" + kernel.op +
                    "', which neither it nor this program has");
}

// Errors: Error if extra rows would be read from beyond their source.
void Engine::Impl::check_source(const ExtraRows& extra) const {
  const auto state = state_types.find(extra.source);
  const auto weight = weights.find(extra.source);
  const int64_t rows = weight != weights.end()      ? weight->second.shape[0]
                       : state != state_types.end() ? state->second.rows
                                                    : 0;
  if (weight != weights.end() && state != state_types.end())
    throw Error("a strategy asks for extra rows of '" + extra.source +
                "', which is a state and a weight of the model; give the state another name");
  if (extra.count < 1 || extra.count > rows)
    throw Error("a strategy asks for " + std::to_string(extra.count) + " extra rows of '" +
                extra.source + "', which has " + std::to_string(rows));
}

// Errors: UsageError if 8-bit activations are asked for and no product of the step takes them. An
// embedding that is quantised is read, not multiplied with.
void Engine::Impl::check_activations() const {
  const bool quantised = std::ranges::any_of(
      step.graph.nodes, [](const Node& node) { return node.operation->name == "quantize"; });
  if (settings.kernels.activations == Activations::kQ8 && !quantised)
    throw UsageError(
        "kernels.activations is q8, but the model has no quantised weights to multiply 8-bit "
        "activations with; use auto or f32");
}

void Engine::Impl::build_graphs() {
  step.graph =
      build_graph("step", [&](Builder& b) { build_step(b, model.spec(), nodes_of_strategies(b)); });
  check_classifier();
  check_activations();
  build_phase(Phase::kInit, "init", init_rows, init);
  build_phase(Phase::kBegin, "begin", begin_rows, begin);
  build_phase(Phase::kEnd, "end", end_rows, end);
  build_phase(Phase::kPromptEnd, "prompt_end", prompt_end_rows, prompt_end);
  for (InputGraph& input : inputs)
    input.compiled.graph = build_graph("input:" + input.stream.name, [&](Builder& b) {
      each_strategy(b, [&](AttentionStrategy& s) {
        if (std::ranges::count(s.input_streams(), input.stream))
          s.contribute_input(input.stream.name, b);
      });
    });
  find_rewritten();
}

void Engine::Impl::build_phase(Phase phase, const char* name, int64_t n_rows,
                               std::optional<CompiledGraph>& result) const {
  if (n_rows == 0) return;
  result.emplace().graph = build_graph(name, [&](Builder& b) {
    each_strategy(b, [&](AttentionStrategy& s) { s.contribute(phase, b); });
  });
}

// Calls add(strategy) for each one; what it adds to `b` is the strategy's.
void Engine::Impl::each_strategy(Builder& b,
                                 const std::function<void(AttentionStrategy&)>& add) const {
  for (const ConfiguredStrategy& s : strategies) {
    if (!s.strategy) continue;
    const Authorship authorship(b, s);
    add(*s.strategy);
  }
}

const ConfiguredStrategy& Engine::Impl::serving(int64_t layer) const {
  return *std::ranges::find_if(strategies, [&](const ConfiguredStrategy& s) {
    return std::ranges::count(s.layers, layer) > 0;
  });
}

// `b` must outlive them.
StrategyNodes Engine::Impl::nodes_of_strategies(Builder& b) const {
  return {.mix =
              [&](GraphBuilder& g, int64_t layer, Value x) {
                const Authorship authorship(b, serving(layer));
                return serving(layer).strategy->mix(g, layer, x);
              },
          .extra_block =
              [&](GraphBuilder& g, int64_t layer, Value residual) {
                const Authorship authorship(b, serving(layer));
                return serving(layer).strategy->extra_block(g, layer, residual);
              },
          .finish =
              [&](GraphBuilder& g, Value residual) {
                each_strategy(b, [&](AttentionStrategy& s) { s.finish(g, residual); });
              },
          .sources = sources};
}

// A classifier may be padded. Errors: Error if it has too few rows for the vocabulary.
void Engine::Impl::check_classifier() const {
  const int64_t n_logits = step.graph.info(step.graph.outputs.at("logits")).type.columns;
  if (n_logits < model.spec().info.vocab_size)
    throw Error("the model's classifier gives " + std::to_string(n_logits) +
                " logits, but its vocabulary has " + std::to_string(model.spec().info.vocab_size) +
                " tokens");
}

// Errors: Error if a ring or an appended state of the text is written at places that its
// declaration says nothing of: which rows are live, and so are saved, follows from the position.
void Engine::Impl::check_places(const Graph& graph) const {
  for (const Node& node : graph.nodes)
    for (const int written : node.operation->writes) {
      const ValueInfo& state = graph.info(node.inputs[static_cast<size_t>(written)]);
      if (state.origin != Origin::kState) continue;
      const StateSpec& spec = layout->specs()[layout->number(state.name)];
      const bool by_position = spec.growth == Growth::kAppended || spec.growth == Growth::kRing;
      if (!by_position || spec.tokens_per_row > 0 || !spec.stream.empty()) continue;
      if (!writes_at(graph, node, "row_index"))
        throw Error("the state '" + spec.name + "' is written by '" + node.operation->name +
                    "' in the graph '" + graph.name + "' at other places than `row_index`, so " +
                    "saving cannot know its live rows; the strategy must declare tokens_per_row " +
                    "or a counted state" + author_of_state(strategies, spec.name));
    }
}

// Whether a node that writes a state appends to it: the step at the position, a stream's graph at
// the places of the stream. A segment's end lies before the position.
bool Engine::Impl::appends(const CompiledGraph& compiled, const Node& node,
                           const StateSpec& spec) const {
  if (&compiled == &step) return spec.stream.empty() && writes_at(step.graph, node, "row_index");
  const auto input = std::ranges::find_if(
      inputs, [&](const InputGraph& graph) { return &graph.compiled == &compiled; });
  return input != inputs.end() && spec.stream == input->stream.name &&
         writes_at(compiled.graph, node, "stream_index");
}

void Engine::Impl::find_rewritten() {
  for (const StateSpec& spec : layout->specs())
    is_rewritten.push_back(spec.growth != Growth::kAppended || spec.tokens_per_row > 0);
  find_rewritten(step);
  for (const auto* phase : {&begin, &end, &prompt_end})
    if (*phase) find_rewritten(**phase);
  for (const InputGraph& input : inputs) find_rewritten(input.compiled);
}

void Engine::Impl::find_rewritten(const CompiledGraph& compiled) {
  for (const Node& node : compiled.graph.nodes)
    for (const int written : node.operation->writes) {
      const ValueInfo& state = compiled.graph.info(node.inputs[static_cast<size_t>(written)]);
      if (state.origin != Origin::kState) continue;
      const size_t number = layout->number(state.name);
      if (!appends(compiled, node, layout->specs()[number])) is_rewritten[number] = true;
    }
}

// Errors: Error if the live rows of a state are asked for that keeps no count of them.
void Engine::Impl::check_live_ranges(const Graph& graph) const {
  for (const Node& node : graph.nodes) {
    if (node.operation->name != "live_range") continue;
    const ValueInfo& state = graph.info(node.inputs[0]);
    const StateSpec& spec = layout->specs()[layout->number(state.name)];
    if (spec.growth == Growth::kCounted || !spec.stream.empty()) continue;
    throw Error("`live_range` in the graph '" + graph.name + "' asks for the live rows of '" +
                spec.name +
                "', which is neither counted nor of an input stream; what a row sees of other "
                "states follows from its position (window_range)" +
                author_of_state(strategies, spec.name));
  }
}

Graph Engine::Impl::build_graph(const std::string& name,
                                const std::function<void(Builder&)>& fill) const {
  auto lookup = [this](std::string_view weight) -> const perdure_tensor* {
    const auto it = weights.find(weight);
    return it == weights.end() ? nullptr : &it->second;
  };
  Builder builder(name, operations, lookup, state_types);
  fill(builder);
  Graph graph = builder.finish();
  check_places(graph);
  check_live_ranges(graph);
  if (settings.kernels.activations != Activations::kF32) quantize_activations(graph, operations);
  return graph;
}

}  // namespace perdure
