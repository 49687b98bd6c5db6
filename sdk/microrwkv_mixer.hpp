// SPDX-License-Identifier: Apache-2.0

// How a block of MicroRWKV mixes tokens, as nodes: a time mix and a channel mix on normed rows,
// then window attention and, on a second time mix of the same weights, group attention, both on
// rows as they are. How far a row sees is the strategy's: the whole window as the published models
// do, or what came before it. Source: MicroRWKV, modelGenerate.py, Block.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/api/model_info.hpp"
#include "sdk/blocks.hpp"
#include "sdk/projections.hpp"
#include "sdk/shape_rules.hpp"

namespace perdure {

// The shape rule of group attention by whatever operation: y [rows, 4 n] gives [rows, n].
inline shape_rules::Types group_attention_types(const char* operation, const shape_rules::Types& in,
                                                const Attributes& attributes) {
  constexpr int64_t kPieces = 4, kParts = 4;  // of a part, of a row
  const int64_t n_heads = shape_rules::integer(attributes, "n_heads");
  const bool fits = in.size() == 1 && shape_rules::are_rows(in, 0, 1) && n_heads > 0 &&
                    in[0].columns % (kParts * kPieces * n_heads) == 0;
  shape_rules::require(fits, operation, "y [rows, 4n], n being a multiple of 4 * n_heads");
  ValueType out = in[0];
  out.columns /= kPieces;
  return {out};
}

class MicroRwkvMixer {
 public:
  explicit MicroRwkvMixer(const ModelInfo& model) : model_(model) {}
  virtual ~MicroRwkvMixer() = default;

  // What the block adds to the residual stream x, experts not counted; both [rows, C].
  Value mix(GraphBuilder& g, int64_t layer, Value x) {
    const Value first = time_mix(g, layer, 0, normed(g, x));
    Value now = op::add(g, x, first);
    const Value channels = channel_mix(g, layer, normed(g, now));
    now = op::add(g, now, channels);
    const Value window = window_mix(g, layer, now);
    now = op::add(g, now, window);
    const Value groups = group_mix(g, layer, time_mix(g, layer, 1, now));
    return op::add(g, op::add(g, first, channels), op::add(g, window, groups));
  }

 protected:
  // Rows of the time mix come to a layer twice, those of its channel mix once.
  enum Site : int64_t { kTimeMix, kSecondTimeMix, kChannelMix };

  // For each row m of lerp, x + (previous - x) * m.
  virtual std::vector<Value> shift(GraphBuilder& g, int64_t layer, Site site, Value x,
                                   Value lerp) = 0;
  // The recurrence of RWKV 5; decay and first [1, C].
  virtual Value recur(GraphBuilder& g, int64_t layer, Site site, Value r, Value k, Value v,
                      Value decay, Value first) = 0;
  virtual Value attend(GraphBuilder& g, int64_t layer, Value q, Value k, Value v) = 0;
  // y [rows, 4C] -> [rows, C].
  virtual Value attend_groups(GraphBuilder& g, Value y) = 0;

  const ModelInfo& model() const { return model_; }

 private:
  static constexpr double kGroupNormEps = 64e-5;

  // By the root mean square, without a weight.
  Value normed(GraphBuilder& g, Value x) const {
    return op::rms_norm(g, x, {}, model_.rms_norm_eps);
  }

  Value time_mix(GraphBuilder& g, int64_t layer, int64_t second, Value x) {
    const Site site = second ? kSecondTimeMix : kTimeMix;
    const auto weight = [&](const char* name) { return g.weight(layer_name(layer, name)); };
    const auto shifted = shift(g, layer, site, x, weight("time_mix_lerp"));  // k, v, r, g
    const Value k = project(g, layer, "time_mix_key", shifted[0]);
    const Value v = project(g, layer, "time_mix_value", shifted[1]);
    const Value r = project(g, layer, "time_mix_receptance", shifted[2]);
    const Value gate = op::silu(g, project(g, layer, "time_mix_gate", shifted[3]));
    const Value y =
        recur(g, layer, site, r, k, v, weight("time_mix_decay"), weight("time_mix_first"));
    const Value heads =
        op::group_norm(g, y, weight("time_mix_ln.weight"), weight("time_mix_ln.bias"),
                       model_.num_attention_heads, kGroupNormEps);
    return project(g, layer, "time_mix_output", op::mul(g, heads, gate));
  }

  Value channel_mix(GraphBuilder& g, int64_t layer, Value x) {
    const Value lerp = g.weight(layer_name(layer, "channel_mix_lerp"));
    const auto shifted = shift(g, layer, kChannelMix, x, lerp);  // k, r
    const Value k = op::relu_square(g, project(g, layer, "channel_mix_key", shifted[0]));
    const Value r = op::sigmoid(g, project(g, layer, "channel_mix_receptance", shifted[1]));
    return op::mul(g, r, project(g, layer, "channel_mix_value", k));
  }

  Value window_mix(GraphBuilder& g, int64_t layer, Value x) {
    const Value qkv = g.weight(layer_name(layer, "window_qkv.weight"));
    const int64_t n = model_.hidden_size;
    const auto part = [&](int64_t i) { return op::mat_mul(g, x, g.weight_rows(qkv, i * n, n)); };
    return project(g, layer, "window_output", attend(g, layer, part(0), part(1), part(2)));
  }

  Value group_mix(GraphBuilder& g, int64_t layer, Value x) {
    return project(g, layer, "group_output", attend_groups(g, project(g, layer, "group_qkvw", x)));
  }

  ModelInfo model_;
};

}  // namespace perdure
