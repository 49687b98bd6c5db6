// SPDX-License-Identifier: Apache-2.0

#include "tests/conformance/window_proof.hpp"

#include "sdk/rotary_attention.hpp"

namespace perdure::testing {
namespace {

class WindowProof final : public AttentionStrategy {
 public:
  WindowProof(const ModelInfo& model, const Options& options)
      : model_(model),
        window_(options.integer("window")),
        with_state_(options.flag("with_state")),
        projections_(model, trained_rotation(model)) {}

  Traits traits() const override {
    return {.constant_memory = true,
            .can_rewind = true,
            .needs_trained_weights = true,
            .window_length = window_};
  }

  std::vector<StateSpec> states() const override {
    if (!with_state_) return {};
    return {{.name = "memory", .columns = 1, .rows = 1}};
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = op::row_index(g);
    const Value q = projections_.query(g, layer, x, place);
    const Value k = projections_.key(g, layer, x, place);
    const Value v = op::mat_mul(g, x, g.weight(layer_name(layer, "attn_v.weight")));
    const Value mixed = op::attend(g, {q}, {{k, v, op::step_range(g)}}, model_.num_attention_heads,
                                   model_.num_key_value_heads);
    return op::mat_mul(g, mixed, g.weight(layer_name(layer, "attn_output.weight")));
  }

 private:
  ModelInfo model_;
  int64_t window_;
  bool with_state_;
  RotaryProjections projections_;
};

class WindowProofPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "window_proof"; }
  int version() const override { return 1; }

  std::vector<OptionSpec> options() const override {
    return {{.name = "window",
             .type = OptionType::kInt,
             .default_value = int64_t{kProofWindow},
             .help = "Tokens computed anew in every step.",
             .min = 1},
            {.name = "with_state",
             .type = OptionType::kBool,
             .default_value = false,
             .help = "Declares a state, which is refused."}};
  }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t>) const override {
    return std::make_unique<WindowProof>(model, options);
  }
};

const void* entry() {
  static const WindowProofPlugin plugin;
  return static_cast<const AttentionPlugin*>(&plugin);
}

}  // namespace

StaticPlugin window_proof_plugin() { return {"attention", "window_proof", entry}; }

}  // namespace perdure::testing
