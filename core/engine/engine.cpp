// SPDX-License-Identifier: Apache-2.0

// The engine's public face: construction and what can be asked about it.
#include "core/engine/engine.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/json/json_write.hpp"
#include "core/config/map_reader.hpp"
#include "core/engine/engine_impl.hpp"
#include "core/graph/passes.hpp"

namespace perdure {
namespace {

std::vector<const CompiledGraph*> graphs_of(const Engine::Impl& impl) {
  std::vector<const CompiledGraph*> graphs{&impl.step};
  for (const auto* graph : {&impl.init, &impl.begin, &impl.end, &impl.prompt_end})
    if (*graph) graphs.push_back(&**graph);
  for (const InputGraph& input : impl.inputs) graphs.push_back(&input.compiled);
  return graphs;
}

const CompiledGraph& graph_by_name(const Engine::Impl& impl, const std::string& name) {
  std::vector<std::string> names;
  for (const CompiledGraph* compiled : graphs_of(impl)) {
    names.push_back(compiled->graph.name);
    if (names.back() == name) return *compiled;
  }
  throw UsageError("this model and strategy have no graph '" + name + "'; " +
                   suggestion(name, names));
}

}  // namespace

Engine::Engine(const Settings& settings, std::span<const StaticPlugin> static_plugins)
    : impl_(std::make_unique<Impl>(settings, static_plugins, nullptr)) {}

Engine::Engine(const Settings& settings, std::span<const StaticPlugin> static_plugins, Model model)
    : impl_(std::make_unique<Impl>(settings, static_plugins,
                                   std::make_shared<SharedModel>(std::move(model)))) {}

Engine::Engine(const Settings& settings, std::span<const StaticPlugin> static_plugins,
               std::shared_ptr<SharedModel> model)
    : impl_(std::make_unique<Impl>(settings, static_plugins, std::move(model))) {}

Engine::~Engine() = default;

const ModelSpec& Engine::spec() const { return impl_->model.spec(); }
const Model& Engine::model() const { return impl_->model; }
std::shared_ptr<SharedModel> Engine::shared_model() const { return impl_->shared_model; }
const Settings& Engine::settings() const { return impl_->settings; }
Traits Engine::traits() const { return impl_->traits; }
std::span<const Options> Engine::strategy_options() const { return impl_->options; }
std::vector<Options> Engine::shown_strategy_options() const {
  return shown_options(impl_->strategies);
}
const std::string& Engine::identity() const { return impl_->identity(); }
const PluginHost& Engine::plugins() const { return impl_->plugins; }

int Engine::n_threads() const { return impl_->threads->max_participants(); }

const Tokenizer* Engine::find_tokenizer() const { return impl_->tokenizer.get(); }

const Tokenizer& Engine::tokenizer() const {
  if (!impl_->tokenizer)
    throw UsageError(
        "no tokenizer is given; write model.tokenizer in the configuration or use --set "
        "model.tokenizer=FILE");
  return *impl_->tokenizer;
}

Session Engine::new_session() const {
  auto session = std::make_unique<Session::Impl>(*impl_, *impl_->layout);
  session->state.copy_fixed(*impl_->initial_state);
  session->random =
      random_of_session(static_cast<uint64_t>(impl_->settings.sampling.seed), impl_->n_sessions++);
  return Session(std::move(session));
}

Session Engine::fork(const Session& session) const {
  if (session.impl().engine != impl_.get())
    throw Error("a session can only be forked by the engine that made it");
  session.impl().require_intact();
  return Session(std::make_unique<Session::Impl>(session.impl()));
}

std::vector<std::string> Engine::graph_names() const {
  std::vector<std::string> names;
  for (const CompiledGraph* compiled : graphs_of(*impl_)) names.push_back(compiled->graph.name);
  return names;
}

std::string Engine::describe_graph(const std::string& graph, bool dot) const {
  const Graph& g = graph_by_name(*impl_, graph).graph;
  return dot ? to_dot(g) : to_text(g);
}

std::string Engine::describe_plan(const std::string& graph) const {
  const CompiledGraph& compiled = graph_by_name(*impl_, graph);
  std::string text;
  for (const Plan& plan : compiled.plans) text += plan.describe();
  return text + compiled.note;
}

Json Engine::plan_json(const std::string& graph) const {
  const CompiledGraph& compiled = graph_by_name(*impl_, graph);
  Json::List plans;
  for (const Plan& plan : compiled.plans) plans.push_back(plan.describe_json());
  return object({member("graph", graph), member("plans", plans), member("note", compiled.note)});
}

Json Engine::graph_json(const std::string& graph) const {
  return to_json(graph_by_name(*impl_, graph).graph);
}

int64_t Engine::weight_bytes_per_token() const {
  return impl_->step.plans.front().weight_bytes() +
         impl_->model.spec().info.hidden_size * static_cast<int64_t>(sizeof(float));
}

int64_t Engine::state_bytes(int64_t position) const { return impl_->layout->live_bytes(position); }

std::optional<int64_t> Engine::max_length() const {
  const int64_t length = impl_->layout->max_length();
  return length == INT64_MAX ? std::nullopt : std::optional(length);
}

}  // namespace perdure
