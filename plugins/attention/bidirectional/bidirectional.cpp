// SPDX-License-Identifier: Apache-2.0

// attention.bidirectional: every token sees all tokens of the window, later ones included, for
// models that fill in masked tokens. Nothing can be kept: each step computes the last
// max_position_embeddings tokens again. `Feed::Logits::kWindow` gives the logits of all of them.
#include "core/api/plugin.h"
#include "sdk/rotary_attention.hpp"

namespace perdure {
namespace {

class Bidirectional final : public AttentionStrategy {
 public:
  Bidirectional(const ModelInfo& model, const Options& options)
      : model_(model), projections_(model, read_rotary_options(model, options)) {
    if (model.train_length < 1)
      throw UsageError(
          "attention.strategy: bidirectional needs a model that says how long its texts are "
          "(max_position_embeddings)");
  }

  Traits traits() const override {
    return {.constant_memory = true,
            .can_rewind = true,
            .needs_trained_weights = true,
            .window_length = model_.train_length};
  }

  std::vector<StateSpec> states() const override { return {}; }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = op::row_index(g);
    const Value keys = projections_.key(g, layer, x, place);
    const Value values = project(g, layer, "attn_v", x);
    const Value mixed =
        op::attend(g, {projections_.query(g, layer, x, place)}, {{keys, values, op::step_range(g)}},
                   model_.num_attention_heads, model_.num_key_value_heads);
    return project(g, layer, "attn_output", mixed);
  }

  bool depends_on(std::string_view option) const override {
    return option != "eval_length" || projections_.options().scaling.needs_eval_length;
  }

 private:
  ModelInfo model_;
  RotaryProjections projections_;
};

class BidirectionalPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "bidirectional"; }
  int version() const override { return 1; }
  std::vector<OptionSpec> options() const override { return rotary_option_specs(); }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t>) const override {
    return std::make_unique<Bidirectional>(model, options);
  }
};

}  // namespace
}  // namespace perdure

PERDURE_PLUGIN(attention, bidirectional, 0) {
  static const perdure::BidirectionalPlugin plugin;
  return static_cast<const perdure::AttentionPlugin*>(&plugin);
}
