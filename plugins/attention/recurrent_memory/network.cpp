// SPDX-License-Identifier: Apache-2.0

// Rows of memory in front of a segment's tokens are the memory that the segment before left; those
// behind become the memory of the next. Attention sees besides a null key and, of every layer, the
// last keys of the segment before (XL memories).
//
// States: of the session `memory` [M, D], `memory_use`, `kept_rows` and, on request, `padding`
// (sight.hpp); per layer keys and values [X + 1 + M + T + M, h * d], not rotated. In front of a
// token nothing is computed twice: read rows do not depend on tokens, tokens not on what follows.
#include "plugins/attention/recurrent_memory/network.hpp"

#include <string>

#include "core/api/operations.hpp"
#include "plugins/attention/recurrent_memory/place.hpp"
#include "plugins/attention/recurrent_memory/rows.hpp"
#include "plugins/attention/recurrent_memory/sight.hpp"
#include "sdk/memory_rows.hpp"
#include "sdk/projections.hpp"

namespace perdure {
namespace {

constexpr const char *kUseState = "memory_use", *kKeptState = "kept_rows",
                     *kPaddingState = "padding";

// Errors: UsageError if an option is not at its default that only memory around a llama has.
void refuse_options_of_wrapper(const Options& options) {
  const auto refuse = [](const char* name) {
    throw UsageError("attention." + std::string(name) +
                     " is for memory around a llama; this model brings its own");
  };
  if (options.integer("num_mem_tokens") != 0) refuse("num_mem_tokens");
  if (options.text("initial") != "trained") refuse("initial");
  if (options.real("rope_theta") != 0.0) refuse("rope_theta");
  if (options.real("xpos") != 0.0) refuse("xpos");
  if (options.flag("log_n")) refuse("log_n");
  if (options.flag("key_norm")) refuse("key_norm");
  if (options.text("rope_scaling") != "none") refuse("rope_scaling");
}

RecurrentSizes read_sizes(const ModelInfo& model, const Options& options) {
  refuse_options_of_wrapper(options);
  RecurrentSizes s;
  s.memory = model.size("rmt.num_memory_tokens");
  s.always_read = model.size("rmt.always_read") != 0;
  s.mask = model.size("rmt.causal") == 0      ? RecurrentSizes::Mask::kAll
           : model.size("rmt.slot_mask") != 0 ? RecurrentSizes::Mask::kSlots
                                              : RecurrentSizes::Mask::kMemory;
  const int64_t trained = model.size("rmt.seq_len"), kept = model.size("rmt.xl_mem_len");
  s.turns = kept + trained + 2;
  s.tokens = options.integer("segment_size") != 0 ? options.integer("segment_size") : trained;
  if (s.tokens > trained)
    throw UsageError("attention.segment_size is " + std::to_string(s.tokens) +
                     " but this model reads segments of at most " + std::to_string(trained) +
                     " tokens");
  if (options.flag("xl_memories")) s.kept = kept;
  if (options.flag("padding") && s.mask == RecurrentSizes::Mask::kSlots)
    throw UsageError(
        "attention.padding: a model with memory_not_causal: false has no mask for padding");
  return s;
}

class RecurrentNetwork final : public AttentionStrategy {
 public:
  RecurrentNetwork(const ModelInfo& model, const Options& options, std::span<const int64_t> layers)
      : model_(model),
        layers_(layers.begin(), layers.end()),
        sizes_(read_sizes(model, options)),
        padding_(options.flag("padding")),
        rotary_(model.size("rmt.rotary") != 0) {
    require_all_layers(model, layers);
  }

  Traits traits() const override { return recurrent_traits(sizes_.tokens); }

  std::vector<StateSpec> states() const override {
    std::vector<StateSpec> states{
        {.name = kMemoryState, .columns = model_.hidden_size, .rows = sizes_.memory},
        {.name = kUseState, .columns = 1, .rows = 1},
        {.name = kKeptState, .columns = 1, .rows = 1}};
    if (padding_) states.push_back({.name = kPaddingState, .columns = sizes_.tokens, .rows = 1});
    const int64_t rows = sizes_.kept + 1 + sizes_.memory + sizes_.tokens + sizes_.memory;
    for (const int64_t layer : layers_)
      for (const char* name : {"attn_k", "attn_v"})
        states.push_back({.name = layer_name(layer, name),
                          .columns = model_.query_columns(),
                          .rows = rows,
                          .initial = StateSpec::Initial::kInit});
    return states;
  }

  std::vector<ExtraRows> extra_rows() const override {
    const char* behind = model_.size("rmt.add_write") != 0 ? kMemoryState : "write_memory";
    return {{ExtraRows::When::kBegin, kReadRole, sizes_.memory, kMemoryState},
            {ExtraRows::When::kEnd, kWriteRole, sizes_.memory, behind}};
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    if (layer == layers_.front()) sight_ = recurrent_sight(g, sizes_, states_of(g));
    const int64_t first = sizes_.kept + 1;
    const Value place = op::map_index(g, recurrent_place(g, sizes_.memory, true), first);
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    op::state_write(g, project(g, layer, "attn_k", x), keys, place, kAllRoles);
    op::state_write(g, value(g, layer, x), values, place, kAllRoles);
    const auto range = [&](Value of, bool rotate) {
      return op::KeyRange{.keys = keys, .values = values, .range = of, .rotate = rotate && rotary_};
    };
    std::vector<op::KeyRange> ranges{range(sight_.kept, true), range(sight_.read, false),
                                     range(sight_.tokens, true), range(sight_.write, false)};
    ranges[2].list = sight_.token_list;
    const int64_t heads = model_.num_attention_heads;
    const Value mixed = op::attend(g, {query(g, layer, x)}, ranges, heads, heads,
                                   rotary_ ? g.weight("key_angles") : Value{}, {.halves = rotary_});
    return project(g, layer, "attn_output", mixed);
  }

  void finish(GraphBuilder& g, Value x) override { write_memory(g, model_, x, sizes_.memory); }

  int64_t phase_rows(Phase phase) const override {
    return phase == Phase::kInit || phase == Phase::kEnd ? 1 : 0;
  }

  void contribute(Phase phase, GraphBuilder& g) override {
    for (const int64_t layer : layers_)
      for (const auto& [state, null] : {std::pair{"attn_k", "null_k"}, {"attn_v", "null_v"}}) {
        const Value rows = g.state(layer_name(layer, state));
        if (phase == Phase::kInit) write_null(g, g.weight(layer_name(layer, null)), rows);
        if (phase == Phase::kEnd && sizes_.kept > 0) recurrent_keep(g, sizes_, states_of(g), rows);
      }
    if (phase == Phase::kEnd) recurrent_close(g, sizes_, states_of(g));
  }

  // Of the options that the wrapper around a llama has, none that is allowed acts.
  bool depends_on(std::string_view option) const override {
    return option == "segment_size" || option == "xl_memories" || option == "padding";
  }

 private:
  RecurrentStates states_of(GraphBuilder& g) const {
    RecurrentStates states{.memory_use = g.state(kUseState), .kept_rows = g.state(kKeptState)};
    if (padding_) states.padding = g.state(kPaddingState);
    return states;
  }

  void write_null(GraphBuilder& g, Value null, Value rows) const {
    const Value first = op::row_index(g, 1);
    op::state_write(g, op::lookup(g, null, first), rows, op::map_index(g, first, sizes_.kept));
  }

  Value query(GraphBuilder& g, int64_t layer, Value x) const {
    const Value q = project(g, layer, "attn_q", x);
    if (!rotary_) return q;
    return op::rope(g, q, op::lookup(g, g.weight("key_angles"), sight_.turn), {.halves = true});
  }

  // v + m * (v0 - v), v0 being that of layer 0 and m a number for each head.
  Value value(GraphBuilder& g, int64_t layer, Value x) {
    const Value v = project(g, layer, "attn_v", x);
    if (layer == layers_.front()) return first_values_ = v;
    const Value m = op::sigmoid(g, project(g, layer, "value_mix", x));
    const int64_t n = model_.query_columns();
    const Value minus =
        g.constant("minus_ones", 1, n, std::vector<float>(static_cast<size_t>(n), -1.0f));
    const Value difference = op::add(g, first_values_, op::mul_row(g, v, minus));
    return op::add(g, v, op::scale_rows(g, difference, m));
  }

  ModelInfo model_;
  std::vector<int64_t> layers_;
  RecurrentSizes sizes_;
  bool padding_, rotary_;
  // Of the step graph under construction.
  Sight sight_;
  Value first_values_;
};

}  // namespace

std::unique_ptr<AttentionStrategy> make_recurrent_network(const ModelInfo& model,
                                                          const Options& options,
                                                          std::span<const int64_t> layers) {
  return std::make_unique<RecurrentNetwork>(model, options, layers);
}

}  // namespace perdure
