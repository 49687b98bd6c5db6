// SPDX-License-Identifier: Apache-2.0

// attention.full: causal attention over everything the session has read, or over a window of it and
// the first tokens. One row of keys and values is kept per token (keys twice where near and far
// ones are rotated differently), so memory grows and the session can be cut back to any earlier
// position.
#include <optional>

#include "core/api/plugin.h"
#include "plugins/attention/full/full_options.hpp"
#include "plugins/attention/full/turned_keys.hpp"

namespace perdure {
namespace {

class FullAttention final : public AttentionStrategy {
 public:
  FullAttention(const ModelInfo& model, const Options& options, std::span<const int64_t> layers)
      : model_(model),
        layers_(layers.begin(), layers.end()),
        options_(read_full_options(model, options)),
        rare_(options_.rare, options_.rotary),
        projections_(model, options_.rotary, rare_.turn()) {
    if (options_.rare.freqs_abs || options_.rare.sum_cis || options_.rare.concat_pe)
      check_adjacent_pairs(model);
    if (options_.rotary.scaling.sets() > 1)
      turned_keys_.emplace(model, options_.rotary.scaling, options_.max_length);
  }

  Traits traits() const override { return {.can_rewind = true}; }

  std::vector<StateSpec> states() const override {
    std::vector<const char*> names{"attn_k", "attn_v"};
    if (!options_.distances.exact()) names.push_back("attn_k_far");
    std::vector<StateSpec> states;
    for (const int64_t layer : layers_)
      for (const char* name : names)
        states.push_back({.name = layer_name(layer, name),
                          .columns = model_.key_columns(),
                          .growth = Growth::kAppended,
                          .rows = options_.max_length});
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = op::row_index(g), index = rare_.index(g, place);
    x = rare_.input(g, projections_, layer, x, place);
    const Value raw_q = projections_.raw_query(g, layer, x);
    const Value raw_k = projections_.raw_key(g, layer, x);
    const Value v = project(g, layer, "attn_v", x);
    std::vector<Value> queries{projections_.rotated_query(g, raw_q, index, place)};
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    op::state_write(g,
                    turned_keys_ ? projections_.unrotated_key(g, raw_k)
                                 : projections_.rotated_key(g, raw_k, index),
                    keys, place);
    op::state_write(g, v, values, place);
    Value far_keys;
    if (!options_.distances.exact()) {
      far_keys = g.state(layer_name(layer, "attn_k_far"));
      queries.push_back(options_.distances.far_query(g, projections_, raw_q, place));
      op::state_write(g, options_.distances.far_key(g, projections_, raw_k, place), far_keys,
                      place);
    }
    const Value mixed = attend(g, queries, keys, far_keys, values, place);
    return project(g, layer, "attn_output", mixed);
  }

  bool depends_on(std::string_view option) const override {
    return option != "eval_length" || options_.needs_eval_length() || rare_.needs_eval_length();
  }

 private:
  Value attend(GraphBuilder& g, const std::vector<Value>& queries, Value keys, Value far_keys,
               Value values, Value place) const {
    std::vector<op::KeyRange> ranges;
    const auto add = [&](Value range) {
      op::KeyRange seen{keys, values, range};
      if (turned_keys_) seen = turned_keys_->turned(g, projections_, seen, place);
      options_.distances.add_ranges(g, ranges, seen, far_keys, place);
    };
    if (options_.sinks > 0) add(op::sink_range(g, place, options_.sinks));
    add(op::window_range(g, place, options_.window, options_.sinks, options_.sees_all_from));
    return op::attend(g, queries, ranges, model_.num_attention_heads, model_.num_key_value_heads,
                      turned_keys_ ? turned_keys_->table(g) : Value{},
                      turned_keys_ ? turn_on_reading(model_) : op::AttendOptions{});
  }

  ModelInfo model_;
  std::vector<int64_t> layers_;
  FullOptions options_;
  RareRotary rare_;
  RotaryProjections projections_;
  std::optional<TurnedKeys> turned_keys_;
};

class FullPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "full"; }
  int version() const override { return 1; }
  std::vector<OptionSpec> options() const override { return full_option_specs(); }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<FullAttention>(model, options, layers);
  }

  std::vector<Operation> operations() const override { return rare_operations(); }
  std::span<const perdure_kernel> kernels() const override { return rare_kernels(); }
};

}  // namespace
}  // namespace perdure

PERDURE_PLUGIN(attention, full, 0) {
  static const perdure::FullPlugin plugin;
  return static_cast<const perdure::AttentionPlugin*>(&plugin);
}
