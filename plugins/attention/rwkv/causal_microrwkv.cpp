// SPDX-License-Identifier: Apache-2.0

#include "plugins/attention/rwkv/causal_microrwkv.hpp"

#include <vector>

#include "plugins/attention/rwkv/operations.hpp"
#include "sdk/microrwkv_mixer.hpp"

namespace perdure::rwkv {
namespace {

// Keys that a row sees, itself included.
constexpr int64_t kWindow = 256;

class CausalMixer final : public MicroRwkvMixer {
 public:
  using MicroRwkvMixer::MicroRwkvMixer;

 private:
  std::vector<Value> shift(GraphBuilder& g, int64_t layer, Site site, Value x,
                           Value lerp) override {
    constexpr const char* kStates[] = {"att_x", "att_x_2", "ffn_x"};
    return token_shift(g, x, lerp, g.state(layer_name(layer, kStates[site])));
  }

  Value recur(GraphBuilder& g, int64_t layer, Site site, Value r, Value k, Value v, Value decay,
              Value first) override {
    constexpr const char* kStates[] = {"wkv", "wkv_2"};
    return wkv5(g, r, k, v, decay, first, g.state(layer_name(layer, kStates[site])));
  }

  Value attend(GraphBuilder& g, int64_t layer, Value q, Value k, Value v) override {
    const Value place = op::row_index(g);
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    op::state_write(g, k, keys, place);
    op::state_write(g, v, values, place);
    const int64_t n_heads = model().num_attention_heads;
    return op::attend(g, {q}, {{keys, values, op::window_range(g, place, kWindow)}}, n_heads,
                      n_heads);
  }

  Value attend_groups(GraphBuilder& g, Value y) override {
    return row_groups(g, y, model().num_attention_heads);
  }
};

class CausalMicroRwkv final : public AttentionStrategy {
 public:
  CausalMicroRwkv(const ModelInfo& model, std::span<const int64_t> layers)
      : model_(model), layers_(layers.begin(), layers.end()), mixer_(model) {
    if (static_cast<int64_t>(layers.size()) != model.num_hidden_layers)
      throw UsageError(
          "attention.layers: a MicroRWKV model has no layers that another strategy could serve");
  }

  Traits traits() const override {
    return {.constant_memory = true, .needs_trained_weights = true};
  }

  std::vector<StateSpec> states() const override {
    std::vector<StateSpec> states;
    const int64_t c = model_.hidden_size;
    for (const int64_t layer : layers_) {
      for (const char* name : {"att_x", "att_x_2", "ffn_x"})
        states.push_back({.name = layer_name(layer, name), .columns = c, .rows = 1});
      for (const char* name : {"wkv", "wkv_2"})
        states.push_back({.name = layer_name(layer, name), .columns = model_.head_size, .rows = c});
      for (const char* name : {"attn_k", "attn_v"})
        states.push_back({.name = layer_name(layer, name),
                          .columns = c,
                          .growth = Growth::kRing,
                          .rows = kWindow});
    }
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override { return mixer_.mix(g, layer, x); }

 private:
  ModelInfo model_;
  std::vector<int64_t> layers_;
  CausalMixer mixer_;
};

}  // namespace

std::unique_ptr<AttentionStrategy> causal_microrwkv(const ModelInfo& model,
                                                    std::span<const int64_t> layers) {
  return std::make_unique<CausalMicroRwkv>(model, layers);
}

}  // namespace perdure::rwkv
