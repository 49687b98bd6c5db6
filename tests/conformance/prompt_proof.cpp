// SPDX-License-Identifier: Apache-2.0

// States per layer: "attn_k", "attn_v", a ring of the latest tokens; "kept_k", "kept_v"
// [kProofKept, kv], zero until a prompt ends, then its last keys and values.
#include "tests/conformance/prompt_proof.hpp"

#include "sdk/rotary_attention.hpp"

namespace perdure::testing {
namespace {

class PromptProof final : public AttentionStrategy {
 public:
  PromptProof(const ModelInfo& model, std::span<const int64_t> layers)
      : model_(model),
        layers_(layers.begin(), layers.end()),
        projections_(model, trained_rotation(model)) {}

  Traits traits() const override {
    return {.constant_memory = true, .needs_trained_weights = true};
  }

  std::vector<StateSpec> states() const override {
    const int64_t columns = model_.num_key_value_heads * model_.head_size;
    std::vector<StateSpec> states;
    for (const int64_t layer : layers_) {
      for (const char* name : {"attn_k", "attn_v"})
        states.push_back({.name = layer_name(layer, name),
                          .columns = columns,
                          .growth = Growth::kRing,
                          .rows = kProofLatest});
      for (const char* name : {"kept_k", "kept_v"})
        states.push_back({.name = layer_name(layer, name), .columns = columns, .rows = kProofKept});
    }
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const auto state = [&](const char* name) { return g.state(layer_name(layer, name)); };
    const Value place = op::row_index(g);
    const Value q = projections_.query(g, layer, x, place);
    const Value k = projections_.key(g, layer, x, place);
    const Value v = op::mat_mul(g, x, g.weight(layer_name(layer, "attn_v.weight")));
    op::state_write(g, k, state("attn_k"), place);
    op::state_write(g, v, state("attn_v"), place);
    const Value mixed =
        op::attend(g, {q},
                   {{state("kept_k"), state("kept_v"), op::sink_range(g, place, kProofKept)},
                    {state("attn_k"), state("attn_v"), op::window_range(g, place, kProofLatest)}},
                   model_.num_attention_heads, model_.num_key_value_heads);
    return op::mat_mul(g, mixed, g.weight(layer_name(layer, "attn_output.weight")));
  }

  int64_t phase_rows(Phase phase) const override {
    return phase == Phase::kPromptEnd ? kProofKept : 0;
  }

  void contribute(Phase phase, GraphBuilder& g) override {
    if (phase != Phase::kPromptEnd) return;
    const Value from = op::map_index(g, op::row_index(g), -kProofKept), to = op::segment_index(g);
    for (const int64_t layer : layers_)
      for (const char* name : {"k", "v"}) {
        const auto state = [&](const char* what) {
          return g.state(layer_name(layer, what) + name);
        };
        op::state_write(g, op::state_read(g, state("attn_"), from), state("kept_"), to);
      }
  }

 private:
  ModelInfo model_;
  std::vector<int64_t> layers_;
  RotaryProjections projections_;
};

class PromptProofPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "prompt_proof"; }
  int version() const override { return 1; }
  std::vector<OptionSpec> options() const override { return {}; }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options&,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<PromptProof>(model, layers);
  }
};

const void* entry() {
  static const PromptProofPlugin plugin;
  return static_cast<const AttentionPlugin*>(&plugin);
}

}  // namespace

StaticPlugin prompt_proof_plugin() { return {"attention", "prompt_proof", entry}; }

}  // namespace perdure::testing
