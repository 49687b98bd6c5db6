// SPDX-License-Identifier: Apache-2.0

// From `attention:` of the configuration to one strategy per layer.
#include <algorithm>
#include <sstream>

#include "core/base/dtype.hpp"
#include "core/engine/engine_impl.hpp"
#include "core/engine/snapshot.hpp"
#include "core/model/architectures/architecture.hpp"

namespace perdure {
namespace {

// Whether a configuration has chosen another value for the option that this one belongs to.
bool given_up(const ModelOption& option, const std::map<std::string, RawOption>& chosen,
              const ModelSpec& spec) {
  const auto head = chosen.find(option.belongs_to);
  if (head == chosen.end()) return false;
  const auto own = spec.strategy_options.find(option.belongs_to);
  return own == spec.strategy_options.end() || own->second.value != head->second.text;
}

// Options that are the model's own stand in for the defaults of a strategy that knows them.
void add_model_options(StrategyChoice& choice, std::span<const OptionSpec> schema,
                       const ModelSpec& spec) {
  const auto chosen = choice.options;
  for (const auto& [name, option] : spec.strategy_options)
    if (std::any_of(schema.begin(), schema.end(), [&](const auto& s) { return s.name == name; }) &&
        !given_up(option, chosen, spec))
      choice.options.try_emplace(name, RawOption{option.value, {"the model's options"}});
}

ConfiguredStrategy configure(StrategyChoice choice, std::vector<int64_t> layers,
                             const Settings& settings, const Model& model,
                             const PluginHost& plugins) {
  const AttentionPlugin& plugin = plugins.attention(choice.strategy);
  const auto schema = plugin.options();
  if (settings.attention.eval_length > 0 &&
      std::any_of(schema.begin(), schema.end(),
                  [](const OptionSpec& s) { return s.name == "eval_length"; }))
    choice.options["eval_length"] = {std::to_string(settings.attention.eval_length),
                                     {"attention.eval_length"}};
  add_model_options(choice, schema, model.spec());
  ConfiguredStrategy result;
  result.plugin = &plugin;
  result.origin = plugins.origin("attention", choice.strategy);
  result.options = resolve_options(choice, schema, "attention." + choice.strategy);
  result.layers = std::move(layers);
  if (!result.layers.empty())
    result.strategy = plugin.create(model.spec().info, result.options, result.layers);
  return result;
}

// Lines that only a model of another form than llama2.c's has, so that memories of those fit still.
void add_uncommon_identity(std::ostringstream& out, const ModelInfo& info) {
  const auto add = [&](std::string_view name, auto value, auto common) {
    if (value != common) out << name << ": " << value_text(OptionValue(value)) << "\n";
  };
  add("head size", info.head_size, info.hidden_size / info.num_attention_heads);
  add("value head size", info.size_of_values(), info.head_size);
  add("score scale", info.score_scale, 0.0);
  add("score soft cap", info.score_soft_cap, 0.0);
  add("rotary size", info.rotated_size(), info.head_size);
  if (info.rotation_order == RotationOrder::kHalves) out << "rotation order: halves\n";
  for (const auto& [name, value] : info.sizes) out << name << ": " << value << "\n";
  for (const auto& [name, value] : info.reals) out << name << ": " << value_text(value) << "\n";
}

// How the model reads its weights: numbers that shapes do not tell.
void add_model_identity(std::ostringstream& out, const ModelSpec& spec) {
  out << "architecture: " << spec.architecture << "\n";
  out << "heads: " << spec.info.num_attention_heads << "\n";
  out << "key-value heads: " << spec.info.num_key_value_heads << "\n";
  out << "rope theta: " << value_text(spec.info.rope_theta) << "\n";
  out << "norm eps: " << value_text(spec.info.rms_norm_eps) << "\n";
  out << "train length: " << spec.info.train_length << "\n";
  add_uncommon_identity(out, spec.info);
}

// Extra rows pass through every layer, and only the strategy that asked for them knows what they
// see there.
void check_extra_rows(std::span<const ConfiguredStrategy> strategies) {
  const auto serves = [](const ConfiguredStrategy& s) { return s.strategy != nullptr; };
  if (std::count_if(strategies.begin(), strategies.end(), serves) < 2) return;
  for (const auto& s : strategies)
    if (serves(s) && !s.strategy->extra_rows().empty())
      throw UsageError("attention.layers: " + std::string(s.plugin->name()) +
                       " sends rows of its own through all layers and cannot share a model with "
                       "another strategy");
}

// What comes with the segments never comes without them.
void check_segments(const ConfiguredStrategy& s, const Traits& traits) {
  if (traits.segment_length > 0) return;
  if (traits.segment_length < 0 || !s.strategy->extra_rows().empty() ||
      s.strategy->phase_rows(Phase::kBegin) != 0 || s.strategy->phase_rows(Phase::kEnd) != 0)
    throw Error("the strategy '" + std::string(s.plugin->name()) + "' declares segments of " +
                std::to_string(traits.segment_length) +
                " tokens; with extra rows or with begin or end graphs they must be positive, "
                "otherwise 0 for none" +
                s.author());
}

// A window computed again in every step leaves nothing to keep but its tokens.
void check_window(const ConfiguredStrategy& s, const Traits& traits) {
  if (traits.window_length == 0) return;
  if (traits.window_length < 0 || traits.window_length > kMaxSnapshotTail)
    throw Error("the strategy '" + std::string(s.plugin->name()) + "' declares a window of " +
                std::to_string(traits.window_length) + " tokens; a session keeps 1 to " +
                std::to_string(kMaxSnapshotTail) + s.author());
  if (!s.strategy->states().empty() || !s.strategy->extra_rows().empty() ||
      !s.strategy->input_streams().empty() || traits.segment_length != 0)
    throw Error("the strategy '" + std::string(s.plugin->name()) +
                "' computes whole windows and declares state, segments, extra rows or input "
                "streams, which such a strategy cannot have" +
                s.author());
}

}  // namespace

std::string ConfiguredStrategy::author() const {
  return origin.file.empty() ? "" : "; declared by " + origin.text();
}

std::string author_of_state(std::span<const ConfiguredStrategy> strategies,
                            std::string_view state) {
  for (const ConfiguredStrategy& s : strategies)
    if (s.strategy)
      for (const StateSpec& spec : s.strategy->states())
        if (spec.name == state) return s.author();
  return "";
}

std::string author_of_stream(std::span<const ConfiguredStrategy> strategies,
                             std::string_view stream) {
  for (const ConfiguredStrategy& s : strategies)
    if (s.strategy)
      for (const InputStream& declared : s.strategy->input_streams())
        if (declared.name == stream) return s.author();
  return "";
}

void choose_as_trained(Settings& settings, const Model& model) {
  auto& [choice, overrides, eval_length, contexts] = settings.attention;
  if (!choice.strategy.empty()) return;
  const TrainedStrategy trained =
      find_architecture(model.spec().architecture).trained_strategy(model);
  choice.strategy = trained.strategy;
  if (!overrides.empty()) return;
  for (const auto& [layers, strategy] : trained.others)
    overrides.push_back({layers, {strategy, {}, {"the model"}}});
}

std::vector<ConfiguredStrategy> configure_strategies(const Settings& settings, const Model& model,
                                                     const PluginHost& plugins) {
  const int64_t n_layers = model.spec().info.num_hidden_layers;
  std::vector<bool> taken(static_cast<size_t>(n_layers), false);
  for (const auto& override : settings.attention.layers)
    for (const int64_t layer : override.layers) {
      if (layer >= n_layers)
        throw UsageError(override.choice.place.text + ": attention.layers names layer " +
                         std::to_string(layer) + ", but the model has layers 0 to " +
                         std::to_string(n_layers - 1));
      if (taken[static_cast<size_t>(layer)])
        throw UsageError(override.choice.place.text + ": attention.layers names layer " +
                         std::to_string(layer) + " twice");
      taken[static_cast<size_t>(layer)] = true;
    }
  std::vector<int64_t> rest;
  for (int64_t layer = 0; layer < n_layers; ++layer)
    if (!taken[static_cast<size_t>(layer)]) rest.push_back(layer);
  std::vector<ConfiguredStrategy> result;
  result.push_back(configure(settings.attention.choice, rest, settings, model, plugins));
  for (const auto& override : settings.attention.layers)
    result.push_back(configure(override.choice, override.layers, settings, model, plugins));
  return result;
}

Traits combine_traits(std::span<const ConfiguredStrategy> strategies) {
  check_extra_rows(strategies);
  Traits all{.constant_memory = true, .can_rewind = true, .short_segments = true};
  std::optional<int64_t> window;
  for (const auto& s : strategies) {
    if (!s.strategy) continue;
    const Traits t = s.strategy->traits();
    check_segments(s, t);
    check_window(s, t);
    if (window.value_or(t.window_length) != t.window_length)
      throw UsageError("attention.layers combines " + std::string(s.plugin->name()) +
                       " with a strategy that sees another window; layers that compute whole "
                       "windows must all see the same");
    window = t.window_length;
    all.window_length = t.window_length;
    all.constant_memory = all.constant_memory && t.constant_memory;
    all.can_rewind = all.can_rewind && t.can_rewind;
    all.needs_trained_weights = all.needs_trained_weights || t.needs_trained_weights;
    if (t.segment_length != 0 && all.segment_length != 0 && t.segment_length != all.segment_length)
      throw UsageError("attention.layers combines strategies with segments of " +
                       std::to_string(all.segment_length) + " and " +
                       std::to_string(t.segment_length) +
                       " tokens; a model can have one segment length");
    all.segment_length = std::max(all.segment_length, t.segment_length);
    if (t.segment_length != 0) all.short_segments = all.short_segments && t.short_segments;
    if (t.max_rows_per_step != 0)
      all.max_rows_per_step = all.max_rows_per_step == 0
                                  ? t.max_rows_per_step
                                  : std::min(all.max_rows_per_step, t.max_rows_per_step);
  }
  all.short_segments = all.short_segments && all.segment_length != 0;
  return all;
}

std::string types_text(std::span<const StateSpec> states) {
  const uint32_t first = states.empty() ? uint32_t{PERDURE_F32} : states.front().type;
  if (std::ranges::all_of(states, [&](const StateSpec& s) { return s.type == first; }))
    return dtype_name(first);
  std::string text;
  for (const StateSpec& s : states)
    text += (text.empty() ? "" : ", ") + s.name + " " + dtype_name(s.type);
  return text;
}

std::vector<Options> shown_options(std::span<const ConfiguredStrategy> strategies) {
  std::vector<Options> shown;
  for (const ConfiguredStrategy& s : strategies)
    shown.push_back(shown_options(s.options, s.plugin->options()));
  return shown;
}

std::string value_text(const OptionValue& value) {
  std::ostringstream out;
  out.precision(17);
  std::visit([&](const auto& v) { out << v; }, value);
  return out.str();
}

std::string make_identity(std::span<const ConfiguredStrategy> strategies, const Model& model,
                          const Tokenizer* tokenizer, std::span<const StateSpec> states) {
  std::ostringstream out;
  out << "weights: " << model.weights_hash() << "\n";
  if (!model.spec().initial_state.empty())
    out << "initial state: " << model.spec().initial_state << "\n";
  add_model_identity(out, model.spec());
  out << "tokenizer: " << (tokenizer ? tokenizer->hash() : "none") << "\n";
  for (const auto& s : strategies) {
    if (s.layers.empty()) continue;
    std::string layers;
    for (const int64_t layer : s.layers)
      layers += (layers.empty() ? "" : ",") + std::to_string(layer);
    const std::string prefix = "layers " + layers + " ";
    out << prefix << "strategy: " << s.plugin->name() << " version " << s.plugin->version() << "\n";
    const auto schema = s.plugin->options();
    for (const auto& option : schema) {
      const OptionValue& given = s.options.all().at(option.name);
      const OptionValue& value = s.strategy->depends_on(option.name) ? given : option.default_value;
      if (option.changes_numbers && !(option.joined_later && value == option.default_value))
        out << prefix << option.name << ": " << value_text(value) << "\n";
    }
  }
  out << "state: " << types_text(states) << "\n";
  return out.str();
}

}  // namespace perdure
