// SPDX-License-Identifier: Apache-2.0

// attention.sliding_window: each token sees the first `sinks` tokens of the session and the last
// `window` others, so memory is constant. Positions are absolute (keys are kept rotated), or those
// inside the window, as StreamingLLM counts them (Xiao et al. 2023, section 3.2): keys are kept
// un-rotated, key and query are rotated by their places among the visible keys, and no rotation
// ever exceeds sinks + window places however long the session is. With `distances: clamped` it is
// LM-Infinite (Han et al. 2023).
#include "core/api/plugin.h"
#include "sdk/distances.hpp"

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
        distances_(options, read_rotary_options(model, options)),
        projections_(model, rotary_options(model, options)) {
    if (window_ == 0) window_ = model.train_length - sinks_;
    if (window_ < 1)
      throw UsageError("attention.window: nothing is left of the model's training length of " +
                       std::to_string(model.train_length) + " tokens beside " +
                       std::to_string(sinks_) + " sinks; set attention.window");
    check(projections_.options());
  }

  Traits traits() const override { return {.constant_memory = true}; }

  std::vector<StateSpec> states() const override {
    std::vector<const char*> names{"attn_k", "attn_v"};
    if (!distances_.exact()) names.push_back("attn_k_far");
    std::vector<StateSpec> states;
    for (const int64_t layer : layers_)
      for (const char* name : names)
        states.push_back({.name = layer_name(layer, name),
                          .columns = model_.key_columns(),
                          .growth = Growth::kRing,
                          .rows = window_,
                          .sinks = sinks_});
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = op::row_index(g);
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    const Value raw_q = projections_.raw_query(g, layer, x);
    const Value raw_k = projections_.raw_key(g, layer, x);
    // The newest key is the last of the visible ones, and the query sits where it sits.
    const Value query_place = reindexed_ ? op::row_index(g, 0, 0, sinks_ + window_ - 1) : place;
    std::vector<Value> queries{projections_.rotated_query(g, raw_q, query_place, place)};
    const Value k = reindexed_ ? projections_.unrotated_key(g, raw_k)
                               : projections_.rotated_key(g, raw_k, place);
    const Value v = project(g, layer, "attn_v", x);
    op::state_write(g, k, keys, place);
    op::state_write(g, v, values, place);
    Value far_keys;
    if (!distances_.exact()) {
      far_keys = g.state(layer_name(layer, "attn_k_far"));
      queries.push_back(distances_.far_query(g, projections_, raw_q, place));
      op::state_write(g, distances_.far_key(g, projections_, raw_k, place), far_keys, place);
    }
    const Value mixed = attend(g, queries, keys, far_keys, values, place);
    return project(g, layer, "attn_output", mixed);
  }

  bool depends_on(std::string_view option) const override {
    return option != "eval_length" || distances_.needs_eval_length() ||
           projections_.options().scaling.needs_eval_length;
  }

 private:
  // Rotations of more places than this are no longer exact in F32, the type of the table.
  static constexpr int64_t kMostPlaces = int64_t{1} << 17;

  static RotaryOptions rotary_options(const ModelInfo& model, const Options& options) {
    RotaryOptions rotary = read_rotary_options(model, options);
    if (options.text("positions") != "none") return rotary;
    const std::string& scaling = options.text("rope_scaling");
    if (scaling != "none")
      throw UsageError("attention.rope_scaling: " + scaling +
                       " changes a rotation, but attention.positions: none has no rotation");
    rotary.rotates = false;
    return rotary;
  }

  void check(const RotaryOptions& rotary) const {
    if (rotary.xpos != 0.0)
      throw UsageError(
          "attention.xpos scales by powers of the position, which an endless session outgrows; "
          "use attention.strategy: full");
    if (!distances_.exact() && (reindexed_ || !rotary.rotates))
      throw UsageError(
          "attention.distances are those of attention.positions: absolute; use one of the two");
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

  Value attend(GraphBuilder& g, const std::vector<Value>& queries, Value keys, Value far_keys,
               Value values, Value place) const {
    std::vector<op::KeyRange> ranges;
    const auto add = [&](Value range) {
      distances_.add_ranges(g, ranges, {keys, values, range, 0, reindexed_}, far_keys, place);
    };
    if (sinks_ > 0) add(op::sink_range(g, place, sinks_));
    add(op::window_range(g, place, window_, sinks_, -1, reindexed_));
    const Value angles = reindexed_ ? projections_.angle_table(g, sinks_ + window_) : Value{};
    return op::attend(g, queries, ranges, model_.num_attention_heads, model_.num_key_value_heads,
                      angles, reindexed_ ? turn_on_reading(model_) : op::AttendOptions{});
  }

  ModelInfo model_;
  std::vector<int64_t> layers_;
  int64_t window_;
  int64_t sinks_;
  bool reindexed_;
  Distances distances_;
  RotaryProjections projections_;
};

class SlidingWindowPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "sliding_window"; }
  int version() const override { return 1; }

  std::vector<OptionSpec> options() const override {
    std::vector<OptionSpec> specs = rotary_option_specs();
    const auto distances = distance_option_specs();
    specs.insert(specs.end(), distances.begin(), distances.end());
    specs.push_back({.name = "window",
                     .type = OptionType::kInt,
                     .default_value = int64_t{0},
                     .help =
                         "How many of the latest tokens a token attends to, itself included; auto "
                         "or 0: the model's training length minus the sinks.",
                     .min = 0,
                     .max = 1e12,
                     .zero_is_auto = true});
    specs.push_back({.name = "sinks",
                     .type = OptionType::kInt,
                     .default_value = int64_t{0},
                     .help = "Number of first tokens of the session that always stay visible.",
                     .min = 0,
                     .max = 1e9});
    specs.push_back({.name = "positions",
                     .type = OptionType::kText,
                     .default_value = std::string("absolute"),
                     .help = "Positions used by rotary embedding: absolute, reindexed within the "
                             "cache (StreamingLLM), or none.",
                     .choices = {"absolute", "reindexed", "none"}});
    return specs;
  }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<SlidingWindow>(model, options, layers);
  }
};

}  // namespace
}  // namespace perdure

PERDURE_PLUGIN(attention, sliding_window, 0) {
  static const perdure::SlidingWindowPlugin plugin;
  return static_cast<const perdure::AttentionPlugin*>(&plugin);
}
