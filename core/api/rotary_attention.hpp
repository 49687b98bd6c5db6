// SPDX-License-Identifier: Apache-2.0

// What all attention strategies with rotated queries and keys share: the options about positions,
// and the projections to queries and keys with rotation, xpos, logarithmic scale and key norm
// (specification of llama2Rnn, sections 3.2 and 4). Header only, so that a plugin needs core/api
// and nothing else.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/api/operations.hpp"
#include "core/api/options.hpp"
#include "core/api/rope.hpp"
#include "core/api/strategy.hpp"

namespace perdure {

// "blk.3.attn_k": the name of a layer's weight or state.
inline std::string layer_name(int64_t layer, const char* what) {
  return "blk." + std::to_string(layer) + "." + what;
}

// `attention.eval_length`, which the core hands to every strategy.
inline OptionSpec eval_length_option() {
  return {.name = "eval_length",
          .type = OptionType::kInt,
          .default_value = int64_t{0},
          .help = "Tokens of the text to come, fixed at its start; 0: not known.",
          .min = 0};
}

// The options of RotaryOptions, for a strategy's schema.
inline std::vector<OptionSpec> rotary_option_specs() {
  return {
      eval_length_option(),
      {.name = "train_length",
       .type = OptionType::kInt,
       .default_value = int64_t{0},
       .help = "Tokens the model was trained at; 0: as the model says.",
       .min = 0},
      {.name = "rope_theta",
       .type = OptionType::kReal,
       .default_value = 0.0,
       .help = "Base of the rotation frequencies; 0: the model's.",
       .min = 0},
      {.name = "rope_scaling",
       .type = OptionType::kText,
       .default_value = std::string("none"),
       .help = "linear: positions are divided by `factor` (position interpolation).",
       .choices = {"none", "linear"}},
      {.name = "factor",
       .type = OptionType::kReal,
       .default_value = 0.0,
       .help = "Divisor of linear scaling, below 1 too; 0: eval_length / train_length.",
       .min = 0},
      {.name = "log_n",
       .type = OptionType::kBool,
       .default_value = false,
       .help = "Queries are scaled by log(position + 1) / log(train_length)."},
      {.name = "log_n_clamp",
       .type = OptionType::kBool,
       .default_value = true,
       .help = "The scale of log_n is at least 1; false: as models trained with it need it."},
      {.name = "xpos",
       .type = OptionType::kReal,
       .default_value = 0.0,
       .help = "Lambda of xPos: queries decay with the distance to the key; 0: off.",
       .min = 0},
      {.name = "key_norm",
       .type = OptionType::kBool,
       .default_value = false,
       .help = "Rotated keys are divided by their root mean square, head by head."},
  };
}

// How positions enter queries and keys, with the model's values filled in.
struct RotaryOptions {
  double theta = 10000.0;
  double divisor = 1.0;  // of positions
  double xpos = 0.0;     // lambda; 0 = off
  int64_t train_length = 0;
  int64_t eval_length = 0;  // 0 = not given
  bool log_n = false;
  bool log_n_clamp = true;
  bool key_norm = false;
};

// Requires: `options` holds what rotary_option_specs() states.
// Errors: UsageError if an option needs a length that neither the options nor the model give, or
// acts on nothing.
inline RotaryOptions read_rotary_options(const ModelInfo& model, const Options& options) {
  RotaryOptions o;
  o.eval_length = options.integer("eval_length");
  o.train_length = options.integer("train_length");
  if (o.train_length == 0) o.train_length = model.train_length;
  o.theta = options.real("rope_theta");
  if (o.theta == 0.0) o.theta = model.rope_theta;
  o.xpos = options.real("xpos");
  o.log_n = options.flag("log_n");
  o.log_n_clamp = options.flag("log_n_clamp");
  o.key_norm = options.flag("key_norm");
  const double factor = options.real("factor");
  if (options.text("rope_scaling") == "linear") {
    if (factor == 0.0 && (o.eval_length == 0 || o.train_length == 0))
      throw UsageError(
          "attention.rope_scaling: linear needs attention.factor, or attention.eval_length and a "
          "training length to take it from");
    o.divisor = factor != 0.0
                    ? factor
                    : static_cast<double>(o.eval_length) / static_cast<double>(o.train_length);
  } else if (factor != 0.0) {
    throw UsageError("attention.factor acts only with attention.rope_scaling: linear");
  }
  constexpr double kLeast = 1e-30;  // less leaves the range of F32
  if (o.theta < kLeast)
    throw UsageError("attention.rope_theta is too small to rotate by; it must be at least 1e-30");
  if (o.divisor < kLeast)
    throw UsageError(
        "attention.factor is too small to divide positions by; it must be at least 1e-30");
  if (o.log_n && o.train_length < 2)
    throw UsageError(
        "attention.log_n needs a training length of at least 2: set attention.train_length");
  if (!o.log_n && !o.log_n_clamp)
    throw UsageError("attention.log_n_clamp: false acts only with attention.log_n: true");
  return o;
}

// The most places at which xpos with this lambda stays in the range of F32: keys are divided by
// powers of their place. Requires: lambda > 0.
inline int64_t most_xpos_places(double lambda) {
  constexpr double kLargestExponent = 80.0;  // exp(88) overflows F32
  constexpr double kMany = 1e18;
  return static_cast<int64_t>(std::min(kMany, kLargestExponent / std::log1p(1.0 / lambda)));
}

// The nodes that make queries and keys of a layer. Cheap to copy.
class RotaryProjections {
 public:
  RotaryProjections(const ModelInfo& model, const RotaryOptions& options)
      : model_(model), options_(options) {}

  // Queries [rows, heads * head_size] of x, rotated at `index` and scaled.
  Value query(GraphBuilder& g, int64_t layer, Value x, Value index) const {
    const Value raw = op::mat_mul(g, x, g.weight(layer_name(layer, "attn_q.weight")));
    const Value q = op::rope(g, raw, angles(g, index, 1));
    if (!options_.log_n) return q;
    return op::scale_rows(g, q, op::log_n(g, index, options_.train_length, options_.log_n_clamp));
  }

  // Keys [rows, kv_heads * head_size] of x by the projection `weight`, rotated at `index`.
  Value key(GraphBuilder& g, Value weight, Value x, Value index) const {
    return normed(g, op::rope(g, op::mat_mul(g, x, weight), angles(g, index, -1)));
  }

  // The same without rotation, for keys that `attend` rotates on reading: a norm that rotation does
  // not change.
  Value unrotated_key(GraphBuilder& g, Value weight, Value x) const {
    return normed(g, op::mat_mul(g, x, weight));
  }

  // Rotations of places 0 .. count - 1, [count, head_size] as cos, sin pairs, for `attend` to
  // rotate keys by.
  Value angle_table(GraphBuilder& g, int64_t count) const {
    const std::vector<float> f = rope_frequencies(model_.head_size, options_.theta);
    std::vector<float> table;
    for (int64_t p = 0; p < count; ++p)
      for (const float frequency : f) {
        const float place = static_cast<float>(p) / static_cast<float>(options_.divisor);
        table.insert(table.end(), {std::cos(place * frequency), std::sin(place * frequency)});
      }
    return g.constant(constant_name("rope_angles", count), count, model_.head_size,
                      std::move(table));
  }

 private:
  Value angles(GraphBuilder& g, Value index, int64_t xpos_sign) const {
    const std::vector<float> f = rope_frequencies(model_.head_size, options_.theta);
    const Value frequencies =
        g.constant(constant_name("rope_frequencies", 0), 1, static_cast<int64_t>(f.size()), f);
    return op::rope_angles(g, index, frequencies, options_.divisor, options_.xpos,
                           options_.xpos != 0.0 ? xpos_sign : 0);
  }

  Value normed(GraphBuilder& g, Value k) const {
    constexpr double kEps = 1e-5;  // of the original, whatever the model's own norms use
    return options_.key_norm ? op::rms_norm(g, k, {}, kEps, model_.head_size) : k;
  }

  // Layers with other options have constants of their own.
  std::string constant_name(const char* what, int64_t count) const {
    return std::string(what) + "/" + std::to_string(options_.theta) + "/" +
           std::to_string(options_.divisor) + "/" + std::to_string(count);
  }

  ModelInfo model_;
  RotaryOptions options_;
};

}  // namespace perdure
