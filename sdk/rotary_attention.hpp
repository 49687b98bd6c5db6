// SPDX-License-Identifier: Apache-2.0

// What all attention strategies with rotated queries and keys share: the options about positions,
// and the projections to queries and keys with rotation, xpos, logarithmic scale and key norm
// (specification of llama2Rnn, sections 3.2 and 4). Header only, so that a plugin needs core/api
// and nothing else.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/api/operations.hpp"
#include "core/api/options.hpp"
#include "core/api/strategy.hpp"
#include "sdk/projections.hpp"
#include "sdk/rope_scaling.hpp"

namespace perdure {

// `attention.eval_length`, which the core passes to every strategy.
inline OptionSpec eval_length_option() {
  return {.name = "eval_length",
          .type = OptionType::kInt,
          .default_value = int64_t{0},
          .help = "Length of the text to be read, in tokens; 0: unknown.",
          .min = 0};
}

// `attention.max_length`, for strategies whose state grows with the text.
inline OptionSpec max_length_option() {
  return {.name = "max_length",
          .type = OptionType::kInt,
          .default_value = int64_t{1048576},
          .help = "Maximum number of tokens of a session.",
          .min = 1,
          .max = 1e12,
          .changes_numbers = false};
}

// The options of RotaryOptions, for a strategy's schema.
inline std::vector<OptionSpec> rotary_option_specs() {
  std::vector<OptionSpec> specs{
      eval_length_option(),
      {.name = "train_length",
       .type = OptionType::kInt,
       .default_value = int64_t{0},
       .help = "Training length in tokens; auto or 0: the model's.",
       .min = 0,
       .zero_is_auto = true},
      {.name = "rope_theta",
       .type = OptionType::kReal,
       .default_value = 0.0,
       .help = "Base of the rotary frequencies; auto or 0: the model's.",
       .min = 0,
       .zero_is_auto = true},
      {.name = "log_n",
       .type = OptionType::kBool,
       .default_value = false,
       .help = "Queries are scaled by log(position + 1) / log(train_length)."},
      {.name = "log_n_clamp",
       .type = OptionType::kBool,
       .default_value = true,
       .help = "Clamp the scale of log_n to at least 1; false for models trained with log_n."},
      {.name = "xpos",
       .type = OptionType::kReal,
       .default_value = 0.0,
       .help = "Decay base of xPos: queries decay with the distance to the key; 0: off.",
       .min = 0},
      {.name = "key_norm",
       .type = OptionType::kBool,
       .default_value = false,
       .help = "Normalise rotated keys by their root mean square, per head."},
  };
  const auto scaling = rope_scaling_specs();
  specs.insert(specs.end(), scaling.begin(), scaling.end());
  return specs;
}

// How positions enter queries and keys, with the model's values filled in.
struct RotaryOptions {
  RopeScaling scaling;
  bool rotates = true;  // false: queries and keys stay as they are projected
  double xpos = 0.0;    // lambda; 0 = off
  int64_t train_length = 0;
  int64_t eval_length = 0;  // 0 = not given
  bool log_n = false;
  bool log_n_clamp = true;
  bool key_norm = false;
};

// Rotation as the model was trained, and nothing else.
inline RotaryOptions trained_rotation(const ModelInfo& model) {
  RotaryOptions o;
  o.scaling.frequencies = rope_frequencies(model.rotated_size(), model.rope_theta);
  return o;
}

// Requires: `options` holds what rotary_option_specs() states. `n_places`: the places of a session,
// for a strategy that can rotate its keys again for every row; 0: it cannot.
// Errors: UsageError if an option needs a length that neither the options nor the model give, or
// acts on nothing; as require_keys.
inline RotaryOptions read_rotary_options(const ModelInfo& model, const Options& options,
                                         int64_t n_places = 0) {
  require_keys(model);
  RotaryOptions o;
  o.eval_length = options.integer("eval_length");
  o.train_length = options.integer("train_length");
  if (o.train_length == 0) o.train_length = model.train_length;
  const double theta = options.real("rope_theta");
  o.xpos = options.real("xpos");
  o.log_n = options.flag("log_n");
  o.log_n_clamp = options.flag("log_n_clamp");
  o.key_norm = options.flag("key_norm");
  o.scaling = RopeScalingReader(model, options, theta == 0.0 ? model.rope_theta : theta,
                                o.train_length, n_places)
                  .read();
  if (o.xpos != 0.0 && o.scaling.sets() > 1)
    throw UsageError(
        "attention.xpos scales keys before they are kept, and this attention.rope_scaling turns "
        "them again for every row; use one of the two");
  if (o.log_n && o.train_length < 2)
    throw UsageError(
        "attention.log_n needs a training length of at least 2: set attention.train_length");
  if (!o.log_n && !o.log_n_clamp)
    throw UsageError("attention.log_n_clamp: false has an effect only with attention.log_n: true");
  return o;
}

// The most places at which xpos with this lambda stays in the range of F32: keys are divided by
// powers of their place. Requires: lambda > 0.
inline int64_t most_xpos_places(double lambda) {
  constexpr double kLargestExponent = 80.0;  // exp(88) overflows F32
  constexpr double kMany = 1e18;
  return static_cast<int64_t>(std::min(kMany, kLargestExponent / std::log1p(1.0 / lambda)));
}

// Errors: UsageError where a key would leave that range; attention.`option` says how many places
// there are. lambda 0: none does.
inline void check_xpos_places(double lambda, int64_t n_places, const char* option) {
  if (lambda == 0.0 || n_places <= most_xpos_places(lambda)) return;
  throw UsageError("attention.xpos with this lambda stays in range for at most " +
                   std::to_string(most_xpos_places(lambda)) + " places, but there are " +
                   std::to_string(n_places) + ": set a larger lambda or a smaller attention." +
                   option);
}

// Applies angles [rows, rotary] to x [rows, heads * head_size].
using Turn = std::function<Value(GraphBuilder& g, Value x, Value angles)>;

// Which columns of a head turn, and which of them together.
inline op::RopeForm rope_form(const ModelInfo& model) {
  return {.halves = model.rotation_order == RotationOrder::kHalves, .head_size = model.head_size};
}

// The plain rotation.
inline Turn turn_pairs(const op::RopeForm& form) {
  return [form](GraphBuilder& g, Value x, Value angles) { return op::rope(g, x, angles, form); };
}

// How `attend` turns keys that are kept un-rotated.
inline op::AttendOptions turn_on_reading(const ModelInfo& model) {
  return {.halves = rope_form(model).halves};
}

// For options that know adjacent pairs of whole heads only. Errors: UsageError for a model with
// another rotation.
inline void check_adjacent_pairs(const ModelInfo& model) {
  if (model.rotation_order == RotationOrder::kHalves || model.rotated_size() != model.head_size)
    throw UsageError(
        "this model rotates its heads by halves or in part; the rare forms of rotation know "
        "adjacent pairs of whole heads only");
}

// The nodes that make queries and keys of a layer. Places are I64 [rows, 1].
class RotaryProjections {
 public:
  // `turn`, if given, takes the place of a rotation in the model's form. Errors: UsageError for a
  // model that attends in a way that these nodes do not have.
  RotaryProjections(const ModelInfo& model, const RotaryOptions& options, Turn turn = {})
      : model_(model),
        options_(options),
        turn_(turn ? std::move(turn) : turn_pairs(rope_form(model))) {
    check_model();
  }

  // Queries [rows, heads * head_size] of x, not rotated. Their scale is that of the model's scores
  // over the one that `attend` applies.
  Value raw_query(GraphBuilder& g, int64_t layer, Value x) const {
    const Value q = project_heads(g, model_, layer, "attn_q", x);
    if (model_.score_scale == 0.0) return q;
    const double scale = model_.score_scale * std::sqrt(static_cast<double>(model_.head_size));
    const std::vector<float> row(static_cast<size_t>(model_.query_columns()),
                                 static_cast<float>(scale));
    return op::mul_row(g, q, g.constant("score_scale", 1, model_.query_columns(), row));
  }

  // Keys [rows, kv_heads * head_size] of x by the weight `name`, not rotated.
  Value raw_key(GraphBuilder& g, int64_t layer, Value x, const char* name = "attn_k") const {
    return project_heads(g, model_, layer, name, x);
  }

  // Queries rotated at `index`, and scaled as those of a row at `place`.
  Value rotated_query(GraphBuilder& g, Value raw, Value index, Value place) const {
    const Value q = options_.rotates ? turn_(g, raw, angles(g, index, 1)) : raw;
    if (!options_.log_n) return q;
    return op::scale_rows(g, q, op::log_n(g, place, options_.train_length, options_.log_n_clamp));
  }

  // Queries of x, rotated and scaled at `place`.
  Value query(GraphBuilder& g, int64_t layer, Value x, Value place) const {
    return rotated_query(g, raw_query(g, layer, x), place, place);
  }

  // Projected keys [rows, kv_heads * head_size] as they are kept: rotated at `index`.
  Value rotated_key(GraphBuilder& g, Value raw, Value index) const {
    return normed(g, options_.rotates ? turn_(g, raw, angles(g, index, -1)) : raw);
  }

  // Keys of x, rotated at `place`.
  Value key(GraphBuilder& g, int64_t layer, Value x, Value place,
            const char* name = "attn_k") const {
    return rotated_key(g, raw_key(g, layer, x, name), place);
  }

  // The same without rotation: a norm that rotation does not change.
  Value unrotated_key(GraphBuilder& g, Value raw) const { return normed(g, raw); }

  // Cosines and sines by which the rows at `index` are rotated. xpos_sign: 1 for queries, -1 for
  // keys, 0 for neither.
  Value angles(GraphBuilder& g, Value index, int64_t xpos_sign) const {
    const RopeScaling& s = options_.scaling;
    const Value frequencies = g.constant(constant_name("rope_frequencies"), s.sets(),
                                         model_.rotated_size() / 2, s.frequencies);
    const op::AngleRule rule{.divisor = s.divisor,
                             .xpos_lambda = options_.xpos,
                             .xpos_sign = options_.xpos != 0.0 ? xpos_sign : 0,
                             .scale = xpos_sign > 0 ? s.query_scale : 1.0};
    return op::rope_angles(g, index, frequencies, rule, s.sets() > 1 ? set_of(g, index) : Value{});
  }

  // Which set of frequencies a row at `index` turns by. Requires: several sets.
  Value set_of(GraphBuilder& g, Value index) const {
    std::vector<float> numbers;
    for (int64_t i = 0; i < options_.scaling.sets(); ++i) numbers.push_back(static_cast<float>(i));
    return by_set(g, index, "rope_sets", std::move(numbers));
  }

  // values[n] of the set n that a row at `index` turns by, as [rows, 1] I64.
  // Requires: several sets, and a whole number below 2^24 for each.
  Value by_set(GraphBuilder& g, Value index, const char* name, std::vector<float> values) const {
    const std::vector<int64_t>& places = options_.scaling.first_places;
    const auto n = static_cast<int64_t>(places.size());
    const Value edges = g.constant(constant_name("rope_edges"), 1, n,
                                   std::vector<float>(places.begin(), places.end()));
    return op::piecewise_index(g, index, edges,
                               g.constant(constant_name(name), 1, n + 1, std::move(values)));
  }

  // Rotations of places 0 .. count - 1, [count, rotary] as cos, sin pairs, for `attend` to rotate
  // keys by. Requires: one set of frequencies.
  Value angle_table(GraphBuilder& g, int64_t count) const {
    std::vector<float> table;
    for (int64_t p = 0; p < count; ++p)
      for (const float frequency : options_.scaling.frequencies) {
        const float place = static_cast<float>(p) / static_cast<float>(options_.scaling.divisor);
        table.insert(table.end(), {std::cos(place * frequency), std::sin(place * frequency)});
      }
    return g.constant(constant_name("rope_angles") + std::to_string(count), count,
                      model_.rotated_size(), std::move(table));
  }

  const RotaryOptions& options() const { return options_; }
  const ModelInfo& model() const { return model_; }

 private:
  void check_model() const {
    const auto refuse = [](const std::string& what) {
      throw UsageError("this model " + what + ", which no attention strategy here can do");
    };
    if (model_.score_soft_cap != 0.0) refuse("caps its attention scores");
    if (model_.size_of_values() != model_.head_size)
      refuse("has values of another size than its keys");
  }

  Value normed(GraphBuilder& g, Value k) const {
    constexpr double kEps = 1e-5;  // of the original, whatever the model's own norms use
    return options_.key_norm ? op::rms_norm(g, k, {}, kEps, model_.head_size) : k;
  }

  // Layers with other options have constants of their own.
  std::string constant_name(const char* what) const {
    const RopeScaling& s = options_.scaling;
    size_t hash = std::hash<double>()(s.divisor);
    for (const float f : s.frequencies) hash = hash * 31 + std::hash<float>()(f);
    for (const int64_t p : s.first_places) hash = hash * 31 + std::hash<int64_t>()(p);
    return std::string(what) + "/" + std::to_string(hash) + "/";
  }

  ModelInfo model_;
  RotaryOptions options_;
  Turn turn_;
};

}  // namespace perdure
