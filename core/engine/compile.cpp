// SPDX-License-Identifier: Apache-2.0

// From a configuration to an engine: its parts in order, and plans for its graphs.
#include <algorithm>
#include <cstring>
#include <thread>

#include "core/base/buffer.hpp"
#include "core/base/cpu.hpp"
#include "core/base/dtype.hpp"
#include "core/engine/engine_impl.hpp"
#include "core/graph/passes.hpp"

namespace perdure {
namespace {

// The part of this machine's memory that the logits of one step may take at most.
constexpr int64_t kLogitsShare = 4;
// Steps of at most so many rows have a plan of their own, between one row and the largest step.
constexpr int64_t kFewRows = 8;

std::shared_ptr<SharedModel> open_model(const Settings& settings) {
  if (settings.model.path.empty())
    throw UsageError(
        "no model is given; name its file or folder with -m, or write model.path in the "
        "configuration (-c)");
  return SharedModel::open(settings.model.path, settings.model.initial_state);
}

perdure_tensor tensor_of(const Weight& w) {
  perdure_tensor t{};
  t.struct_size = sizeof t;
  t.dtype = w.dtype;
  t.rank = 2;
  t.shape[0] = w.rows;
  t.shape[1] = w.columns;
  t.shape[2] = t.shape[3] = 1;
  t.row_stride_bytes = perdure_row_bytes(w.dtype, w.columns);
  t.data = const_cast<void*>(w.data);
  t.scales = const_cast<void*>(w.scales);
  t.group_size = w.group_size;
  return t;
}

int available_threads() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

Plan& CompiledGraph::plan_for(int64_t n_rows) {
  for (Plan& plan : plans)
    if (n_rows <= plan.max_rows()) return plan;
  return plans.back();
}

Engine::Impl::Impl(const Settings& chosen, std::span<const StaticPlugin> static_plugins,
                   std::shared_ptr<SharedModel> given)
    : settings(chosen),
      plugin_host(std::make_shared<PluginHost>(static_plugins, settings.plugins.load)),
      plugins(*plugin_host),
      shared_model(given ? std::move(given) : open_model(settings)),
      model(shared_model->model()) {
  if (!settings.model.tokenizer.empty())
    tokenizer = open_tokenizer(settings.model.tokenizer, model.spec().info);
  for (const auto& [name, w] : model.weights()) weights.emplace(name, tensor_of(w));
  choose_as_trained(settings, model);  // and a dump names what was chosen
  strategies = configure_strategies(settings, model, plugins);
  for (const auto& s : strategies) options.push_back(s.options);
  traits = combine_traits(strategies);
  gather_declarations();
  build_graphs();
  compile();
}

Engine::Impl::Impl(const Impl& like, std::vector<ConfiguredStrategy> others)
    : settings(like.settings),
      plugin_host(like.plugin_host),
      plugins(*plugin_host),
      shared_model(like.shared_model),
      model(shared_model->model()),
      weights(like.weights),
      strategies(std::move(others)) {
  traits = combine_traits(strategies);
  gather_declarations();
  build_graphs();
}

const std::string& Engine::Impl::identity() const {
  if (known_identity.empty())
    known_identity = make_identity(strategies, model, tokenizer.get(), layout->specs());
  return known_identity;
}

// Rows of a step that may ask for logits: as many as the setting's bytes hold.
int64_t Engine::Impl::logits_per_step() const {
  const int64_t bytes =
      std::min(settings.step.max_logits_bytes, physical_memory_bytes() / kLogitsShare);
  const int64_t columns = step.graph.info(step.graph.outputs.at("logits")).type.columns;
  const int64_t row_bytes = columns * static_cast<int64_t>(sizeof(float));
  return std::clamp<int64_t>(bytes / row_bytes, 1, max_rows);
}

void Engine::Impl::compile() {
  KernelPolicy policy{settings.kernels.prefer, settings.kernels.isa, settings.kernels.pin,
                      cpu_features(), settings.kernels.reproducible};
  chooser.emplace(plugins.kernel_sets(), own_kernels, operations, std::move(policy));
  compile_graphs();
  const int count =
      settings.threads.count > 0 ? static_cast<int>(settings.threads.count) : available_threads();
  threads = plugins.threads(settings.threads.backend).create(count);
  bind_plans();
  reserve_step();
  run_init();
}

// Plans for one, few and many rows of a step, and one for each other graph.
void Engine::Impl::compile_graphs() {
  max_outputs = logits_per_step();
  std::vector<int64_t> classes;
  for (const int64_t n : {int64_t{1}, std::min(kFewRows, max_rows), max_rows})
    if (classes.empty() || n > classes.back()) classes.push_back(n);
  compile_plans(step, classes, max_outputs);
  auto compile_phase = [&](std::optional<CompiledGraph>& graph, int64_t n_rows) {
    const int64_t n = std::max(n_rows, max_rows / std::max<int64_t>(n_rows, 1) * n_rows);
    if (graph) compile_plans(*graph, std::array{n}, 0);
  };
  compile_phase(init, init_rows);
  compile_phase(begin, begin_rows);
  compile_phase(end, end_rows);
  compile_phase(prompt_end, prompt_end_rows);
  for (InputGraph& input : inputs)
    compile_plans(input.compiled, std::array{input_rows(input.stream)}, 0);
}

// Most rows of a step of the stream's graph.
int64_t Engine::Impl::input_rows(const InputStream& stream) const {
  return std::max(stream.rows_per_step > 0 ? stream.rows_per_step : max_rows, stream.max_chunk);
}

std::vector<CompiledGraph*> Engine::Impl::all_graphs() {
  std::vector<CompiledGraph*> all{&step};
  for (auto* phase : {&init, &begin, &end, &prompt_end})
    if (*phase) all.push_back(&**phase);
  for (InputGraph& input : inputs) all.push_back(&input.compiled);
  return all;
}

// One arena and one executor for all plans: they never run at the same time.
void Engine::Impl::bind_plans() {
  size_t arena_bytes = 0, scratch_bytes = 0, max_nodes = 0;
  for (CompiledGraph* graph : all_graphs())
    for (const Plan& plan : graph->plans) {
      arena_bytes = std::max(arena_bytes, plan.arena_bytes());
      scratch_bytes = std::max(scratch_bytes, plan.scratch_bytes());
      max_nodes = std::max(max_nodes, plan.nodes().size());
    }
  arena = Buffer(arena_bytes);
  for (CompiledGraph* graph : all_graphs())
    for (Plan& plan : graph->plans) plan.bind(arena.data());
  executor.emplace(*threads, max_nodes, scratch_bytes);
}

// So that no step allocates.
void Engine::Impl::reserve_step() {
  auto most_rows =
      static_cast<size_t>(std::max({max_rows, init_rows, begin_rows, end_rows, prompt_end_rows}));
  for (const InputGraph& input : inputs)
    most_rows = std::max(most_rows, static_cast<size_t>(input_rows(input.stream)));
  rows.reserve(most_rows);
  output_rows.reserve(most_rows);
  sessions.reserve(most_rows);
  in_step.reserve(most_rows);
  parts.reserve(most_rows);
  due.reserve(most_rows);
}

void Engine::Impl::compile_plans(CompiledGraph& graph, std::span<const int64_t> row_classes,
                                 int64_t outputs) {
  std::string obstacle;
  const size_t n_kept =
      fuse_composites(graph.graph, operations,
                      [&](const std::vector<std::string>& parts, const std::string& composite) {
                        obstacle = chooser->fusion_obstacle(parts, composite);
                        return obstacle.empty();
                      });
  if (n_kept > 0)
    graph.note = std::to_string(n_kept) +
                 " times silu and mul are not joined to silu_mul: " + obstacle + "\n";
  graph.plans.reserve(row_classes.size());
  shared_model->with_packed([&](PackedWeights& of_model) {
    packed.share(&of_model, [this](const void* data) { return is_weight(data); });
    for (const int64_t n : row_classes)
      graph.plans.emplace_back(graph.graph, n, std::min(outputs, n), *chooser, state_numbers,
                               packed);
  });
}

// Whether `data` lies in a weight of the model; views of a weight do.
bool Engine::Impl::is_weight(const void* data) const {
  const auto holds = [&](const perdure_tensor& t) {
    const auto at = reinterpret_cast<uintptr_t>(data), first = reinterpret_cast<uintptr_t>(t.data);
    return at >= first && at < first + static_cast<uintptr_t>(t.shape[0] * t.row_stride_bytes);
  };
  return std::ranges::any_of(weights, [&](const auto& named) { return holds(named.second); });
}

void Engine::Impl::run_init() {
  initial_state.emplace(*layout);
  for (size_t i = 0; i < layout->specs().size(); ++i) {
    const StateSpec& spec = layout->specs()[i];
    if (spec.initial != StateSpec::Initial::kWeight) continue;
    const Weight* w = model.find(spec.initial_weight);
    if (!w || w->dtype != PERDURE_F32 || w->rows != spec.rows || w->columns != spec.columns)
      throw Error("the state '" + spec.name + "' starts as '" + spec.initial_weight +
                  "', but the model has no F32 weight of that name with " +
                  std::to_string(spec.rows) + " x " + std::to_string(spec.columns) + " values" +
                  author_of_state(strategies, spec.name));
    std::memcpy(initial_state->row(i, 0).data(), w->data,
                static_cast<size_t>(w->size()) * sizeof(float));
  }
  if (!init) return;
  Session::Impl session(*this, *layout);
  session.state.copy_fixed(*initial_state);
  Session::Impl* const one[] = {&session};
  run_phase(init, Phase::kInit, one);
  initial_state->copy_fixed(session.state);
}

}  // namespace perdure
