// SPDX-License-Identifier: Apache-2.0

// Whether a memory that was written under other words belongs here: an identity says what was
// chosen, and the same may be chosen in several ways (the model's own value written out, a factor
// given or computed). The strategies of the other identity are made again, and what they declare
// and the graphs that they build are compared with this engine's.
#include <algorithm>
#include <charconv>
#include <sstream>
#include <tuple>

#include "core/engine/engine_impl.hpp"
#include "core/engine/identity.hpp"
#include "core/graph/passes.hpp"

namespace perdure {
namespace {

// The lines of an identity that are about one strategy.
struct IdentityGroup {
  std::string layers;    // "0,1"
  std::string strategy;  // "memory version 1"
  std::map<std::string, std::string> options;
};

struct IdentityParts {
  std::vector<std::string> others;  // all other lines
  std::vector<IdentityGroup> groups;
};

void add_line(IdentityParts& parts, const std::string& line) {
  const auto of_strategy = strategy_line(line);
  if (!of_strategy) return parts.others.push_back(line);
  const auto& [layers, name, value] = *of_strategy;
  if (name == kStrategyName)
    parts.groups.push_back({layers, value, {}});
  else if (parts.groups.empty() || parts.groups.back().layers != layers)
    parts.others.push_back(line);
  else
    parts.groups.back().options[name] = value;
}

IdentityParts parts_of(const std::string& identity) {
  IdentityParts parts;
  std::istringstream in(identity);
  for (std::string line; std::getline(in, line);) add_line(parts, line);
  return parts;
}

// An option as a configuration would have it.
std::string written(const OptionSpec& spec, const std::string& value) {
  if (spec.type != OptionType::kBool) return value;
  return value == "1" ? "true" : "false";
}

// The options that `group` names; of those that change no numbers this engine's own, of others
// their defaults. Errors: Error or UsageError for what no strategy of that kind has.
ConfiguredStrategy remade(const ConfiguredStrategy& own, const IdentityGroup& group,
                          const ModelInfo& model) {
  const auto schema = own.plugin->options();
  StrategyChoice choice{std::string(own.plugin->name()), {}, {}};
  for (const auto& [name, value] : group.options) {
    const auto spec =
        std::ranges::find_if(schema, [&](const OptionSpec& s) { return s.name == name; });
    choice.options[name] = {spec == schema.end() ? value : written(*spec, value), {"its identity"}};
  }
  ConfiguredStrategy result;
  result.plugin = own.plugin;
  result.origin = own.origin;
  result.layers = own.layers;
  result.options = resolve_options(choice, schema, "its strategy");
  for (const OptionSpec& spec : schema)
    if (!spec.changes_numbers) result.options.set(spec.name, own.options.all().at(spec.name));
  result.strategy = own.plugin->create(model, result.options, result.layers);
  return result;
}

// The same strategies of the same layers under the options of both identities, or none.
std::vector<ConfiguredStrategy> remake(std::span<const ConfiguredStrategy> strategies,
                                       std::span<const IdentityGroup> own,
                                       std::span<const IdentityGroup> found,
                                       const ModelInfo& model) {
  std::vector<ConfiguredStrategy> result;
  size_t i = 0;
  for (const ConfiguredStrategy& s : strategies) {
    if (s.layers.empty()) continue;
    if (i >= own.size() || i >= found.size() || own[i].layers != found[i].layers ||
        own[i].strategy != found[i].strategy)
      return {};
    result.push_back(remade(s, found[i++], model));
  }
  return i == found.size() ? std::move(result) : std::vector<ConfiguredStrategy>();
}

bool same_state(const StateSpec& a, const StateSpec& b) {
  const auto all = [](const StateSpec& s) {
    return std::tie(s.name, s.columns, s.growth, s.rows, s.sinks, s.initial, s.initial_weight,
                    s.stream, s.extremes, s.tokens_per_row, s.type);
  };
  return all(a) == all(b);
}

bool same_extra_rows(const ExtraRows& a, const ExtraRows& b) {
  return a.when == b.when && a.role == b.role && a.count == b.count && a.source == b.source;
}

// What a strategy says of itself, before any graph is built: cheap, and bounds what graphs may be.
bool same_declarations(const ConfiguredStrategy& a, const ConfiguredStrategy& b) {
  const Traits s = a.strategy->traits(), t = b.strategy->traits();
  const auto same_rows = [&](Phase phase) {
    return a.strategy->phase_rows(phase) == b.strategy->phase_rows(phase);
  };
  return s.segment_length == t.segment_length && s.window_length == t.window_length &&
         std::ranges::equal(a.strategy->states(), b.strategy->states(), same_state) &&
         std::ranges::equal(a.strategy->extra_rows(), b.strategy->extra_rows(), same_extra_rows) &&
         std::ranges::equal(a.strategy->input_streams(), b.strategy->input_streams()) &&
         same_rows(Phase::kInit) && same_rows(Phase::kBegin) && same_rows(Phase::kEnd) &&
         same_rows(Phase::kPromptEnd);
}

bool same_phase(const std::optional<CompiledGraph>& a, const std::optional<CompiledGraph>& b) {
  return a.has_value() == b.has_value() && (!a || computes_same(a->graph, b->graph));
}

bool same_graphs(const Engine::Impl& a, const Engine::Impl& b) {
  return computes_same(a.step.graph, b.step.graph) && same_phase(a.init, b.init) &&
         same_phase(a.begin, b.begin) && same_phase(a.end, b.end) &&
         same_phase(a.prompt_end, b.prompt_end) &&
         std::ranges::equal(a.inputs, b.inputs, [](const InputGraph& x, const InputGraph& y) {
           return computes_same(x.compiled.graph, y.compiled.graph);
         });
}

}  // namespace

// This engine's own graphs are made again as well: those that it runs were joined and compiled.
bool Engine::Impl::computes_as(const std::string& other) const {
  const IdentityParts own = parts_of(identity()), found = parts_of(other);
  if (own.others != found.others) return false;
  const ModelInfo& info = model.spec().info;
  try {
    auto here = remake(strategies, own.groups, own.groups, info);
    auto there = remake(strategies, own.groups, found.groups, info);
    if (there.empty() || !std::ranges::equal(here, there, same_declarations)) return false;
    return same_graphs(Impl(*this, std::move(here)), Impl(*this, std::move(there)));
  } catch (const Error&) {
    return false;  // no engine of this program has that identity
  }
}

}  // namespace perdure
