// SPDX-License-Identifier: Apache-2.0

// attention.memory: llama2Rnn's memory attention (specification, section 3). A segment of M tokens
// attends to M rows of memory and to itself; the attention outputs of a segment, before the output
// projection, become the memory of the next. Time and memory per token are constant. Of models
// whose heads together are not as wide as the model (Qwen 3), which the original has not, the
// outputs behind the projection become the memory.
//
// States of layer N: blk.N.mem_raw [M, d], raw attention outputs, row r of the latest token with
// place r in its segment; blk.N.attn_k and attn_v [2M, kv], rows 0 .. M-1 the memory's keys and
// values, rows M .. the segment's; blk.N.mem_ema [M, d], with `ema`, the running mean that the
// memory is replaced by every `ema_every` tokens.
#include <string>

#include "core/api/plugin.h"
#include "plugins/attention/memory/blend.hpp"
#include "sdk/rotary_attention.hpp"

namespace perdure {
namespace {

enum class Update { kSegment, kToken, kNever };

struct MemoryOptions {
  int64_t mem_len = 0;
  Update update = Update::kSegment;
  bool trained = true;  // initial memory
  double ema = 0.0;     // weight of the old memory; 0 = off
  int64_t ema_every = 0;
};

Update read_update(const std::string& text) {
  if (text == "segment") return Update::kSegment;
  return text == "token" ? Update::kToken : Update::kNever;
}

void read_ema(const Options& options, MemoryOptions& o) {
  o.ema = options.real("ema");
  o.ema_every = options.integer("ema_every");
  if (o.ema == 0.0) {
    if (o.ema_every != 0)
      throw UsageError("attention.ema_every has an effect only with attention.ema");
    return;
  }
  if (o.update != Update::kSegment)
    throw UsageError(
        "attention.ema blends memories at the end of a segment: it needs attention.update: "
        "segment");
  if (o.ema_every == 0) o.ema_every = o.mem_len;
  if (o.ema_every % o.mem_len != 0)
    throw UsageError("attention.ema_every is " + std::to_string(o.ema_every) +
                     ", not a multiple of the memory's " + std::to_string(o.mem_len) + " rows");
}

MemoryOptions read_memory_options(const ModelInfo& model, const Options& options) {
  require_keys(model);
  MemoryOptions o;
  o.mem_len = options.integer("mem_len") != 0 ? options.integer("mem_len") : model.mem_len;
  o.update = read_update(options.text("update"));
  o.trained = options.text("initial") == "trained";
  if (o.mem_len == 0)
    throw UsageError(
        "attention.strategy: memory needs a model with memory; for another one set "
        "attention.mem_len and "
        "attention.initial: zero");
  if (o.trained && model.mem_len == 0)
    throw UsageError(
        "attention.initial: trained needs a model with memory; set attention.initial: zero");
  if (o.trained && o.mem_len != model.mem_len)
    throw UsageError("attention.mem_len is " + std::to_string(o.mem_len) +
                     " but the trained memory has " + std::to_string(model.mem_len) +
                     " rows; set attention.initial: zero or leave mem_len out");
  read_ema(options, o);
  return o;
}

class MemoryAttention final : public AttentionStrategy {
 public:
  MemoryAttention(const ModelInfo& model, const Options& options, std::span<const int64_t> layers)
      : model_(model),
        layers_(layers.begin(), layers.end()),
        options_(read_memory_options(model, options)),
        projections_(model, read_rotary_options(model, options)) {
    check_xpos_places(projections_.options().xpos, 2 * options_.mem_len, "mem_len");
  }

  Traits traits() const override {
    const bool by_token = options_.update == Update::kToken;
    // Without update the segments still count: a segment's keys take the places of the last one's.
    return {.constant_memory = true,
            .needs_trained_weights = true,
            .segment_length = by_token ? 1 : options_.mem_len,
            .max_rows_per_step = by_token ? 1 : 0};
  }

  std::vector<StateSpec> states() const override {
    const int64_t d = model_.query_columns(), kv = model_.key_columns();
    std::vector<StateSpec> states;
    for (const int64_t layer : layers_) {
      states.push_back(memory_state(layer, "mem_raw", d));
      if (options_.ema != 0.0) states.push_back(memory_state(layer, "mem_ema", d));
      for (const char* name : {"attn_k", "attn_v"})
        states.push_back({.name = layer_name(layer, name),
                          .columns = kv,
                          .rows = 2 * options_.mem_len,
                          .initial = StateSpec::Initial::kInit});
    }
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const int64_t m = options_.mem_len;
    const Value row = place_in_memory(g), place = op::map_index(g, row, m);
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    const Value q = projections_.query(g, layer, x, place);
    const Value k = projections_.key(g, layer, x, place);
    const Value v = project(g, layer, "attn_v", x);
    op::state_write(g, k, keys, place);
    op::state_write(g, v, values, place);
    const Value mixed = op::attend(g, {q}, {{keys, values, op::window_range(g, place)}},
                                   model_.num_attention_heads, model_.num_key_value_heads);
    op::state_write(g, mixed, g.state(layer_name(layer, "mem_raw")), row);
    return project(g, layer, "attn_output", mixed);
  }

  int64_t phase_rows(Phase phase) const override {
    if (phase == Phase::kInit) return options_.mem_len;
    if (phase != Phase::kEnd || options_.update == Update::kNever) return 0;
    return options_.update == Update::kToken ? 1 : options_.mem_len;
  }

  void contribute(Phase phase, GraphBuilder& g) override {
    if (phase_rows(phase) == 0) return;
    for (const int64_t layer : layers_) refresh(g, layer, phase);
  }

  bool depends_on(std::string_view option) const override {
    return option != "eval_length" || projections_.options().scaling.needs_eval_length;
  }

 private:
  // The row of memory that a row of the step or of a phase becomes. With an update per token, rows
  // take turns over many segments of one token.
  Value place_in_memory(GraphBuilder& g) const {
    return options_.update == Update::kToken ? op::row_index(g, options_.mem_len)
                                             : op::segment_index(g);
  }

  StateSpec memory_state(int64_t layer, const char* name, int64_t columns) const {
    StateSpec spec{.name = layer_name(layer, name), .columns = columns, .rows = options_.mem_len};
    if (options_.trained) {
      spec.initial = StateSpec::Initial::kWeight;
      spec.initial_weight = layer_name(layer, "mem_init");
    }
    return spec;
  }

  // Keys and values of the memory rows, from the raw attention outputs.
  void refresh(GraphBuilder& g, int64_t layer, Phase phase) {
    const Value place = place_in_memory(g);
    Value x = op::state_read(g, g.state(layer_name(layer, "mem_raw")), place);
    if (phase == Phase::kEnd && options_.ema != 0.0)
      x = memory_blend(g, x, g.state(layer_name(layer, "mem_ema")), place, options_.ema,
                       options_.ema_every, options_.mem_len);
    x = transformed(g, layer, x);
    const Value k = projections_.key(g, layer, x, place, own_or(g, layer, "mem_k", "attn_k"));
    const Value v = project(g, layer, own_or(g, layer, "mem_v", "attn_v"), x);
    op::state_write(g, k, g.state(layer_name(layer, "attn_k")), place);
    op::state_write(g, v, g.state(layer_name(layer, "attn_v")), place);
  }

  // What the model does with memory before projecting it: as much as it has weights for.
  Value transformed(GraphBuilder& g, int64_t layer, Value x) const {
    const double eps = model_.rms_norm_eps;
    const auto has = [&](const char* what) {
      return g.has_weight(layer_name(layer, what) + ".weight");
    };
    if (model_.query_columns() != model_.hidden_size) x = project(g, layer, "attn_output", x);
    if (has("mem_wm")) x = project(g, layer, "mem_wm", x);
    if (has("mem_ffn_norm")) {
      const Value normed = blocks::norm(g, layer_name(layer, "mem_ffn_norm"), x, eps);
      x = op::add(g, x, blocks::gated_feed_forward(g, layer_name(layer, "mem_ffn_"), normed));
    }
    if (has("mem_norm")) x = blocks::norm(g, layer_name(layer, "mem_norm"), x, eps);
    return x;
  }

  // The name of the memory's own projection, if the model has one.
  static const char* own_or(GraphBuilder& g, int64_t layer, const char* name,
                            const char* otherwise) {
    return g.has_weight(layer_name(layer, name) + ".weight") ? name : otherwise;
  }

  ModelInfo model_;
  std::vector<int64_t> layers_;
  MemoryOptions options_;
  RotaryProjections projections_;
};

class MemoryPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "memory"; }
  int version() const override { return 1; }

  std::vector<OptionSpec> options() const override {
    std::vector<OptionSpec> specs = rotary_option_specs();
    specs.push_back({.name = "mem_len",
                     .type = OptionType::kInt,
                     .default_value = int64_t{0},
                     .help = "Memory rows, and tokens per segment; auto or 0: the model's.",
                     .min = 0,
                     .max = 1 << 24,
                     .zero_is_auto = true});
    specs.push_back({.name = "update",
                     .type = OptionType::kText,
                     .default_value = std::string("segment"),
                     .help = "When memory rows are updated: after each full segment (as trained), "
                             "after every token, or never.",
                     .choices = {"segment", "token", "never"}});
    specs.push_back({.name = "initial",
                     .type = OptionType::kText,
                     .default_value = std::string("trained"),
                     .help = "Memory rows of a new session.",
                     .choices = {"trained", "zero"}});
    specs.push_back(
        {.name = "ema",
         .type = OptionType::kReal,
         .default_value = 0.0,
         .help = "Weight of the old memory rows in an exponential moving average (0.6 in the "
                 "original); 0: off.",
         .min = 0,
         .max = 1});
    specs.push_back(
        {.name = "ema_every",
         .type = OptionType::kInt,
         .default_value = int64_t{0},
         .help = "Tokens between two averages, a multiple of mem_len; 0: every segment.",
         .min = 0});
    return specs;
  }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<MemoryAttention>(model, options, layers);
  }

  std::vector<Operation> operations() const override { return {memory_blend_operation()}; }
  std::span<const perdure_kernel> kernels() const override { return memory_blend_kernels(); }
};

}  // namespace
}  // namespace perdure

PERDURE_PLUGIN(attention, memory, 0) {
  static const perdure::MemoryPlugin plugin;
  return static_cast<const perdure::AttentionPlugin*>(&plugin);
}
