// SPDX-License-Identifier: Apache-2.0

// attention.sliding_window: each token sees the first `sinks` tokens of the session and the last
// `window` others, so memory is constant. Positions are absolute (keys are kept rotated), or those
// inside the window, as StreamingLLM counts them (Xiao et al. 2023, section 3.2): keys are kept
// un-rotated, key and query are rotated by their places among the visible keys, and no rotation
// ever exceeds sinks + window places however long the session is.
#include "core/api/plugin.h"
#include "core/api/rotary_attention.hpp"

namespace perdure {
namespace {

class SlidingWindow final : public AttentionStrategy {
 public:
  SlidingWindow(const ModelInfo& model, const Options& options, std::span<const int64_t> layers)
      : model_(model),
        layers_(layers.begin(), layers.end()),
        window_(options.integer("window")),
        sinks_(options.integer("sinks")),
        reindexed_(options.text("positions") == "reindexed"),
        projections_(model, read_rotary_options(model, options)) {
    if (window_ == 0) window_ = model.train_length - sinks_;
    if (window_ < 1)
      throw UsageError("attention.window: nothing is left of the model's training length of " +
                       std::to_string(model.train_length) + " tokens beside " +
                       std::to_string(sinks_) + " sinks; set attention.window");
    check(read_rotary_options(model, options));
  }

  Traits traits() const override { return {.constant_memory = true}; }

  std::vector<StateSpec> states() const override {
    std::vector<StateSpec> states;
    for (const int64_t layer : layers_)
      for (const char* name : {"attn_k", "attn_v"})
        states.push_back({.name = layer_name(layer, name),
                          .columns = model_.num_key_value_heads * model_.head_size,
                          .growth = Growth::kRing,
                          .rows = window_,
                          .sinks = sinks_});
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = op::row_index(g);
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    const Value wk = g.weight(layer_name(layer, "attn_k.weight"));
    // The newest key is the last of the visible ones, and the query sits where it sits.
    const Value query_place = reindexed_ ? op::row_index(g, 0, 0, sinks_ + window_ - 1) : place;
    const Value q = projections_.query(g, layer, x, query_place);
    const Value k =
        reindexed_ ? projections_.unrotated_key(g, wk, x) : projections_.key(g, wk, x, place);
    const Value v = op::mat_mul(g, x, g.weight(layer_name(layer, "attn_v.weight")));
    op::state_write(g, k, keys, place);
    op::state_write(g, v, values, place);
    const Value mixed = attend(g, q, keys, values, place);
    return op::mat_mul(g, mixed, g.weight(layer_name(layer, "attn_output.weight")));
  }

 private:
  // Rotations of more places than this are no longer exact in F32, the type of the table.
  static constexpr int64_t kMostPlaces = int64_t{1} << 17;

  void check(const RotaryOptions& rotary) const {
    if (rotary.xpos != 0.0)
      throw UsageError(
          "attention.xpos scales by powers of the position, which an endless session outgrows; "
          "use attention.strategy: full");
    if (!reindexed_) return;
    if (rotary.log_n)
      throw UsageError(
          "attention.log_n grows with the position and attention.positions: reindexed has none "
          "that grows; use one of the two");
    if (sinks_ + window_ < 2 || sinks_ + window_ > kMostPlaces)
      throw UsageError("attention.positions: reindexed needs 2 to " + std::to_string(kMostPlaces) +
                       " visible keys, not " + std::to_string(sinks_ + window_) +
                       "; change attention.window");
  }

  Value attend(GraphBuilder& g, Value q, Value keys, Value values, Value place) const {
    std::vector<op::KeyRange> ranges;
    if (sinks_ > 0)
      ranges.push_back({keys, values, op::sink_range(g, place, sinks_), 0, reindexed_});
    const Value latest = op::window_range(g, place, window_, sinks_, -1, reindexed_);
    ranges.push_back({keys, values, latest, 0, reindexed_});
    const Value angles = reindexed_ ? projections_.angle_table(g, sinks_ + window_) : Value{};
    return op::attend(g, {q}, ranges, model_.num_attention_heads, model_.num_key_value_heads,
                      angles);
  }

  ModelInfo model_;
  std::vector<int64_t> layers_;
  int64_t window_;
  int64_t sinks_;
  bool reindexed_;
  RotaryProjections projections_;
};

class SlidingWindowPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "sliding_window"; }
  int version() const override { return 1; }

  std::vector<OptionSpec> options() const override {
    std::vector<OptionSpec> specs = rotary_option_specs();
    specs.push_back({.name = "window",
                     .type = OptionType::kInt,
                     .default_value = int64_t{0},
                     .help = "Latest tokens that stay visible, the token itself included; "
                             "0: the model's training length less the sinks.",
                     .min = 0,
                     .max = 1e12});
    specs.push_back({.name = "sinks",
                     .type = OptionType::kInt,
                     .default_value = int64_t{0},
                     .help = "First tokens of the session that stay visible for ever.",
                     .min = 0,
                     .max = 1e9});
    specs.push_back({.name = "positions",
                     .type = OptionType::kText,
                     .default_value = std::string("absolute"),
                     .help = "Places that rotate: in the session, or (reindexed) among the keys "
                             "that are visible, as StreamingLLM does.",
                     .choices = {"absolute", "reindexed"}});
    return specs;
  }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<SlidingWindow>(model, options, layers);
  }
};

}  // namespace
}  // namespace perdure

PERDURE_PLUGIN(attention, sliding_window, PERDURE_BUILD_ID, 0) {
  static const perdure::SlidingWindowPlugin plugin;
  return static_cast<const perdure::AttentionPlugin*>(&plugin);
}
