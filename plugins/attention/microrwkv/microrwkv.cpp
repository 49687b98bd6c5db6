// SPDX-License-Identifier: Apache-2.0

// attention.microrwkv: MicroRWKV as it was published and trained. Every block mixes all rows of the
// window, later ones included, so nothing can be kept: each step computes the last block_size
// tokens again and gives the logits of the last. The causal way is the strategy rwkv.
#include "core/api/plugin.h"
#include "core/api/strategy.hpp"
#include "plugins/attention/microrwkv/operations.hpp"
#include "sdk/microrwkv_mixer.hpp"

namespace perdure {
namespace {

// Pieces that a window is cut into, whatever its length.
constexpr int64_t kPlaces = 256;

class WindowMixer final : public MicroRwkvMixer {
 public:
  using MicroRwkvMixer::MicroRwkvMixer;

 private:
  std::vector<Value> shift(GraphBuilder& g, int64_t, Site, Value x, Value lerp) override {
    return microrwkv::shift(g, x, lerp);
  }
  Value recur(GraphBuilder& g, int64_t, Site, Value r, Value k, Value v, Value decay,
              Value first) override {
    return microrwkv::recur(g, r, k, v, decay, first, model().num_attention_heads);
  }
  Value attend(GraphBuilder& g, int64_t, Value q, Value k, Value v) override {
    return microrwkv::attend(g, q, k, v, model().num_attention_heads, kPlaces);
  }
  Value attend_groups(GraphBuilder& g, Value y) override {
    return microrwkv::attend_groups(g, y, model().num_attention_heads);
  }
};

class MicroRwkv final : public AttentionStrategy {
 public:
  MicroRwkv(const ModelInfo& model, std::span<const int64_t> layers)
      : window_(model.train_length), mixer_(model) {
    if (model.architecture != "microrwkv")
      throw UsageError(
          "attention.strategy: microrwkv needs a MicroRWKV model, and this one is a '" +
          model.architecture + "'");
    if (static_cast<int64_t>(layers.size()) != model.num_hidden_layers)
      throw UsageError(
          "attention.layers: a MicroRWKV model has no layers that another strategy could serve");
  }

  Traits traits() const override {
    return {.constant_memory = true,
            .can_rewind = true,
            .needs_trained_weights = true,
            .window_length = window_};
  }
  std::vector<StateSpec> states() const override { return {}; }
  Value mix(GraphBuilder& g, int64_t layer, Value x) override { return mixer_.mix(g, layer, x); }

 private:
  int64_t window_;
  WindowMixer mixer_;
};

class MicroRwkvPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "microrwkv"; }
  int version() const override { return 1; }
  std::vector<OptionSpec> options() const override { return {}; }
  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options&,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<MicroRwkv>(model, layers);
  }
  std::vector<Operation> operations() const override { return microrwkv::operations(); }
  std::span<const perdure_kernel> kernels() const override { return microrwkv::kernels(); }
};

}  // namespace
}  // namespace perdure

PERDURE_PLUGIN(attention, microrwkv, 0) {
  static const perdure::MicroRwkvPlugin plugin;
  return static_cast<const perdure::AttentionPlugin*>(&plugin);
}
