// SPDX-License-Identifier: Apache-2.0

// attention.rwkv: the recurrences of RWKV, versions 4 to 7, in the place of attention. The time mix
// is what the strategy puts into a layer, the channel mix its second block: both mix a row with the
// one before it. No segments, no positions, one graph; memory and time per token are constant.
//
// States of layer N: blk.N.att_x and blk.N.ffn_x [1, C], the last normed input of the two mixes;
// blk.N.wkv, in version 4 [3, C]: sums of values and of weights and their exponent, from 5 on
// [C, head size]: for each key channel the values of its head.
#include <optional>
#include <string>

#include "core/api/plugin.h"
#include "core/api/strategy.hpp"
#include "plugins/attention/rwkv/causal_microrwkv.hpp"
#include "plugins/attention/rwkv/operations.hpp"
#include "sdk/projections.hpp"

namespace perdure {
namespace {

// The exponent of nothing: what is added to it later outweighs it, whatever that is.
constexpr float kNoExponent = -1e30f;
// The rows of version 4's state.
constexpr int64_t kWkv4Rows = 3, kExponentRow = 2;
// -exp(-0.5) as the originals have it.
constexpr float kDecayRate7 = -0.606531f;

class Rwkv final : public AttentionStrategy {
 public:
  Rwkv(const ModelInfo& model, const Options& options, std::span<const int64_t> layers)
      : model_(model), layers_(layers.begin(), layers.end()) {
    version_ = model.size("rwkv.version", 0);
    if (version_ == 0)
      throw UsageError("attention.strategy: rwkv needs an RWKV model, and this one is a '" +
                       model.architecture + "', whose layers have no recurrence");
    if (static_cast<int64_t>(layers.size()) != model.num_hidden_layers)
      throw UsageError(
          "attention.layers: an RWKV model has no layers that another strategy could serve");
    group_norm_eps_ = options.real("group_norm_eps");
    if (group_norm_eps_ == 0.0) group_norm_eps_ = model.real("rwkv.group_norm_eps", 0.0);
  }

  Traits traits() const override {
    return {.constant_memory = true, .needs_trained_weights = true};
  }

  std::vector<StateSpec> states() const override {
    std::vector<StateSpec> states;
    for (const int64_t layer : layers_) {
      for (const char* name : {"att_x", "ffn_x"})
        states.push_back(
            {.name = layer_name(layer, name), .columns = model_.hidden_size, .rows = 1});
      states.push_back(wkv_state(layer));
    }
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Layer l{g, layer};
    const Value y = version_ == 4   ? mix_4(l, x)
                    : version_ == 5 ? mix_5(l, x)
                    : version_ == 6 ? mix_6(l, x)
                                    : mix_7(l, x);
    return l.project("time_mix_output", y);
  }

  // The channel mix.
  Value extra_block(GraphBuilder& g, int64_t layer, Value residual) override {
    const Layer l{g, layer};
    const Value x =
        blocks::norm(g, layer_name(layer, "attn_norm_2"), residual, model_.rms_norm_eps);
    const auto shifted = rwkv::token_shift(g, x, l.weight("channel_mix_lerp"), l.state("ffn_x"));
    const Value k = op::relu_square(g, l.project("channel_mix_key", shifted[0]));
    const Value y = l.project("channel_mix_value", k);
    if (shifted.size() == 1) return y;
    return op::mul(g, op::sigmoid(g, l.project("channel_mix_receptance", shifted[1])), y);
  }

  // Version 4's exponents do not start at zero.
  int64_t phase_rows(Phase phase) const override {
    return phase == Phase::kInit && version_ == 4 ? 1 : 0;
  }

  void contribute(Phase phase, GraphBuilder& g) override {
    if (phase_rows(phase) == 0) return;
    const auto n = static_cast<size_t>(model_.hidden_size);
    const Value start =
        g.constant("rwkv.no_exponent", 1, model_.hidden_size, std::vector<float>(n, kNoExponent));
    const Value row = op::lookup(g, start, op::row_index(g));
    for (const int64_t layer : layers_)
      op::state_write(g, row, g.state(layer_name(layer, "wkv")), op::row_index(g, 0, kExponentRow));
  }

 private:
  // The weights and states of a layer in a graph.
  struct Layer {
    GraphBuilder& g;
    int64_t number;

    Value weight(const char* name) const { return g.weight(layer_name(number, name)); }
    Value state(const char* name) const { return g.state(layer_name(number, name)); }
    Value project(const char* name, Value x) const { return perdure::project(g, number, name, x); }
    // x `name`1 and then, through `inner`, `name`2.
    Value low_rank(const std::string& name, Value x, blocks::Activation inner = nullptr) const {
      const Value z = project((name + "1").c_str(), x);
      return project((name + "2").c_str(), inner == nullptr ? z : inner(g, z));
    }
    // Plus the vector of that name.
    Value biased(const char* name, Value x) const { return op::add_row(g, x, weight(name)); }
  };

  StateSpec wkv_state(int64_t layer) const {
    StateSpec spec{.name = layer_name(layer, "wkv"),
                   .columns = version_ == 4 ? model_.hidden_size : model_.head_size,
                   .rows = version_ == 4 ? kWkv4Rows : model_.hidden_size};
    if (version_ == 4) {
      spec.initial = StateSpec::Initial::kInit;
      spec.extremes = true;
    } else if (model_.size("rwkv.tuned_states", 0) != 0) {
      spec.initial = StateSpec::Initial::kWeight;
      spec.initial_weight = layer_name(layer, "wkv_start");
    }
    return spec;
  }

  Value mix_4(const Layer& l, Value x) const {
    const auto shifted = rwkv::token_shift(l.g, x, l.weight("time_mix_lerp"), l.state("att_x"));
    const Value k = l.project("time_mix_key", shifted[0]);
    const Value v = l.project("time_mix_value", shifted[1]);
    const Value r = op::sigmoid(l.g, l.project("time_mix_receptance", shifted[2]));
    return op::mul(l.g, r,
                   rwkv::wkv4(l.g, k, v, l.weight("time_mix_decay"), l.weight("time_mix_first"),
                              l.state("wkv")));
  }

  Value mix_5(const Layer& l, Value x) const {
    const auto shifted = rwkv::token_shift(l.g, x, l.weight("time_mix_lerp"), l.state("att_x"));
    const Value y = recurrence(l, shifted[2], shifted[0], shifted[1], l.weight("time_mix_decay"));
    return shifted.size() == 3 ? y : op::mul(l.g, y, gate(l, shifted[3]));
  }

  // Shifts depend on the row: a low-rank function of a first shift is added to each.
  Value mix_6(const Layer& l, Value x) const {
    GraphBuilder& g = l.g;
    const Value lerps = l.weight("time_mix_lerp");
    const auto first = rwkv::token_shift(g, x, g.weight_rows(lerps, 0, 1), l.state("att_x"), true);
    const Value z = op::tanh(g, l.project("time_mix_w1", first[0]));
    const Value outer = l.weight("time_mix_w2.weight");
    const int64_t rank = g.type(outer).columns, n = model_.hidden_size;
    const auto shifted = [&](int64_t i) {  // 0 .. 4: w, k, v, r, g
      const Value m =
          op::mat_mul(g, op::slice(g, z, i * rank, rank), g.weight_rows(outer, i * n, n));
      return rwkv::lerp(g, x, first[1], op::add_row(g, m, g.weight_rows(lerps, 1 + i, 1)));
    };
    const Value log_decay = op::exp(
        g, l.biased("time_mix_decay", l.low_rank("time_mix_decay_w", shifted(0), op::tanh)));
    const Value decay = op::exp(g, op::mul_row(g, log_decay, filled(g, -1.0f)));
    return op::mul(g, recurrence(l, shifted(3), shifted(1), shifted(2), decay),
                   gate(l, shifted(4)));
  }

  Value mix_7(const Layer& l, Value x) {
    GraphBuilder& g = l.g;
    const auto shifted =  // r, w, k, v, a, g
        rwkv::token_shift(g, x, l.weight("time_mix_lerp"), l.state("att_x"));
    const Value r = l.project("time_mix_receptance", shifted[0]);
    const Value decay = decay_7(l, shifted[1]);
    const Value rate =
        op::sigmoid(g, l.biased("time_mix_a0", l.low_rank("time_mix_a", shifted[4])));
    const rwkv::Keys7 keys =
        rwkv::wkv7_keys(g, l.project("time_mix_key", shifted[2]), rate, l.weight("time_mix_k_k"),
                        l.weight("time_mix_k_a"), model_.head_size);
    const Value v = value_7(l, shifted[3]);
    const Value y = normed(l, rwkv::wkv7(g, r, decay, keys.k, v, keys.a, keys.b, l.state("wkv")));
    const Value with_bonus =
        rwkv::wkv7_bonus(g, y, r, keys.k, v, l.weight("time_mix_r_k"), model_.head_size);
    return op::mul(g, with_bonus, l.low_rank("time_mix_g", shifted[5], op::sigmoid));
  }

  Value decay_7(const Layer& l, Value x) const {
    const Value w = l.biased("time_mix_w0", l.low_rank("time_mix_w", x, op::tanh));
    return op::exp(l.g, op::mul_row(l.g, op::sigmoid(l.g, w), filled(l.g, kDecayRate7)));
  }

  // Values go some way towards those of the first layer.
  Value value_7(const Layer& l, Value x) {
    const Value v = l.project("time_mix_value", x);
    if (l.number == 0) return first_values_ = v;
    const Value way = op::sigmoid(l.g, l.biased("time_mix_v0", l.low_rank("time_mix_v", x)));
    return rwkv::lerp(l.g, v, first_values_, way);
  }

  // Versions 5 and 6 from their shifted inputs to the normed result.
  Value recurrence(const Layer& l, Value xr, Value xk, Value xv, Value decay) const {
    const Value r = l.project("time_mix_receptance", xr), k = l.project("time_mix_key", xk);
    const Value v = l.project("time_mix_value", xv);
    return normed(l, rwkv::wkv5(l.g, r, k, v, decay, l.weight("time_mix_first"), l.state("wkv")));
  }

  Value gate(const Layer& l, Value x) const { return op::silu(l.g, l.project("time_mix_gate", x)); }

  Value normed(const Layer& l, Value y) const {
    return op::group_norm(l.g, y, l.weight("time_mix_ln.weight"), l.weight("time_mix_ln.bias"),
                          model_.num_attention_heads, group_norm_eps_);
  }

  // A vector of one number.
  Value filled(GraphBuilder& g, float value) const {
    return g.constant("rwkv.all " + std::to_string(value), 1, model_.hidden_size,
                      std::vector<float>(static_cast<size_t>(model_.hidden_size), value));
  }

  ModelInfo model_;
  std::vector<int64_t> layers_;
  int64_t version_ = 0;
  double group_norm_eps_ = 0.0;
  Value first_values_;  // of version 7's layer 0, in the step graph
};

class RwkvPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "rwkv"; }
  int version() const override { return 1; }

  std::vector<OptionSpec> options() const override {
    return {{.name = "group_norm_eps",
             .type = OptionType::kReal,
             .default_value = 0.0,
             .help = "Epsilon of the group norm of the heads' outputs; auto or 0: the model's.",
             .min = 0,
             .max = 1,
             .zero_is_auto = true}};
  }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t> layers) const override {
    if (model.architecture == "microrwkv") return rwkv::causal_microrwkv(model, layers);
    return std::make_unique<Rwkv>(model, options, layers);
  }

  std::vector<Operation> operations() const override { return rwkv::operations(); }
  std::span<const perdure_kernel> kernels() const override { return rwkv::kernels(); }
};

}  // namespace
}  // namespace perdure

PERDURE_PLUGIN(attention, rwkv, 0) {
  static const perdure::RwkvPlugin plugin;
  return static_cast<const perdure::AttentionPlugin*>(&plugin);
}
