// SPDX-License-Identifier: Apache-2.0

// attention.full: causal attention over everything the session has read, or over a window of it.
// Keys are kept rotated, one row per token, so memory grows and the session can be cut back to any
// earlier position.
#include <algorithm>

#include "core/api/plugin.h"
#include "core/api/rotary_attention.hpp"

namespace perdure {
namespace {

class FullAttention final : public AttentionStrategy {
 public:
  FullAttention(const ModelInfo& model, const Options& options, std::span<const int64_t> layers)
      : model_(model),
        layers_(layers.begin(), layers.end()),
        window_(options.integer("window")),
        max_length_(options.integer("max_length")),
        projections_(model, read_rotary_options(model, options)) {
    const RotaryOptions rotary = read_rotary_options(model, options);
    read_tail(options.integer("full_tail"), rotary.eval_length);
    if (rotary.xpos != 0.0) check_xpos(rotary.xpos);
  }

  Traits traits() const override { return {.can_rewind = true}; }

  std::vector<StateSpec> states() const override {
    std::vector<StateSpec> states;
    for (const int64_t layer : layers_)
      for (const char* name : {"attn_k", "attn_v"})
        states.push_back({.name = layer_name(layer, name),
                          .columns = model_.num_key_value_heads * model_.head_size,
                          .growth = Growth::kAppended,
                          .rows = max_length_});
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = op::row_index(g);
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    const Value q = projections_.query(g, layer, x, place);
    const Value k = projections_.key(g, g.weight(layer_name(layer, "attn_k.weight")), x, place);
    const Value v = op::mat_mul(g, x, g.weight(layer_name(layer, "attn_v.weight")));
    op::state_write(g, k, keys, place);
    op::state_write(g, v, values, place);
    const Value range = op::window_range(g, place, window_, 0, sees_all_from_);
    const Value mixed = op::attend(g, {q}, {{keys, values, range}}, model_.num_attention_heads,
                                   model_.num_key_value_heads);
    return op::mat_mul(g, mixed, g.weight(layer_name(layer, "attn_output.weight")));
  }

 private:
  void read_tail(int64_t tail, int64_t eval_length) {
    if (tail == 0) return;
    if (window_ == 0)
      throw UsageError(
          "attention.full_tail acts only with attention.window: without one every position sees "
          "all");
    if (eval_length == 0)
      throw UsageError(
          "attention.full_tail counts from the end of the text: set attention.eval_length");
    sees_all_from_ = std::max<int64_t>(0, eval_length - tail);
  }

  void check_xpos(double lambda) const {
    const int64_t most = most_xpos_places(lambda);
    if (max_length_ > most)
      throw UsageError("attention.xpos with this lambda stays in range for at most " +
                       std::to_string(most) + " tokens: set attention.max_length to that or less");
  }

  ModelInfo model_;
  std::vector<int64_t> layers_;
  int64_t window_;
  int64_t max_length_;
  int64_t sees_all_from_ = -1;
  RotaryProjections projections_;
};

class FullPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "full"; }
  int version() const override { return 1; }

  std::vector<OptionSpec> options() const override {
    std::vector<OptionSpec> specs = rotary_option_specs();
    specs.push_back({.name = "window",
                     .type = OptionType::kInt,
                     .default_value = int64_t{0},
                     .help = "Each position sees only the last so many, itself included; 0: all.",
                     .min = 0});
    specs.push_back(
        {.name = "full_tail",
         .type = OptionType::kInt,
         .default_value = int64_t{0},
         .help = "The last so many positions of eval_length see all in spite of the window.",
         .min = 0});
    specs.push_back({.name = "max_length",
                     .type = OptionType::kInt,
                     .default_value = int64_t{1048576},
                     .help = "Most tokens of a session; address space is reserved for them.",
                     .min = 1,
                     .max = 1e12,
                     .changes_numbers = false});
    return specs;
  }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<FullAttention>(model, options, layers);
  }
};

}  // namespace
}  // namespace perdure

PERDURE_PLUGIN(attention, full, PERDURE_BUILD_ID, 0) {
  static const perdure::FullPlugin plugin;
  return static_cast<const perdure::AttentionPlugin*>(&plugin);
}
