// SPDX-License-Identifier: Apache-2.0

// attention.recurrent_memory: the Recurrent Memory Transformer of its authors (Bulatov et al. 2022)
// around a llama. The same M vectors stand in front of a segment's tokens and behind them; all of
// it is read causally, at places from 0 on; what comes out behind the last norm at the M rows
// behind the tokens is the memory of the next segment. Time and memory per token are constant.
//
// States: the session's "memory" [M, d]; per layer keys and values [M + S + M, kv] of the rows of
// one segment, S being its longest. A short segment has its write rows behind the tokens that it
// has, so that nothing of the segment before is seen.
#include <string>

#include "core/api/plugin.h"
#include "plugins/attention/recurrent_memory/network.hpp"
#include "plugins/attention/recurrent_memory/place.hpp"
#include "plugins/attention/recurrent_memory/rows.hpp"
#include "plugins/attention/recurrent_memory/sight.hpp"
#include "sdk/rotary_attention.hpp"

namespace perdure {
namespace {

constexpr const char* kTrainedMemory = "recurrent_memory";  // the weight

struct RecurrentOptions {
  int64_t memory = 0;   // rows in front, and behind
  int64_t segment = 0;  // most tokens between them
  bool trained = true;
};

int64_t given_or(int64_t given, int64_t otherwise) { return given != 0 ? given : otherwise; }

RecurrentOptions read_options(const ModelInfo& model, const Options& options) {
  require_keys(model);
  if (options.flag("padding"))
    throw UsageError(
        "attention.padding is for models made for recurrent_memory; this one is a llama");
  const int64_t trained_rows = model.size("rmt.num_mem_tokens", 0);
  RecurrentOptions o;
  o.trained = options.text("initial") == "trained";
  o.memory = given_or(options.integer("num_mem_tokens"), trained_rows);
  if (o.trained && trained_rows == 0)
    throw UsageError(
        "attention.strategy: recurrent_memory needs a model with a trained memory; for another one "
        "set attention.num_mem_tokens and attention.initial: untrained");
  if (o.trained && o.memory != trained_rows)
    throw UsageError("attention.num_mem_tokens is " + std::to_string(o.memory) +
                     " but the trained memory has " + std::to_string(trained_rows) +
                     " rows; leave it out or set attention.initial: untrained");
  if (o.memory == 0 || o.memory > model.vocab_size)
    throw UsageError("attention.num_mem_tokens is " + std::to_string(o.memory) +
                     " but an untrained memory has 1 to " + std::to_string(model.vocab_size) +
                     " rows, as it begins with the embeddings of the first tokens");
  o.segment = given_or(options.integer("segment_size"),
                       model.size("rmt.segment_size", model.train_length - 2 * o.memory));
  if (o.segment < 1)
    throw UsageError("attention.segment_size: nothing is left of the model's training length of " +
                     std::to_string(model.train_length) + " tokens beside 2 times " +
                     std::to_string(o.memory) + " rows of memory; set attention.segment_size");
  return o;
}

class RecurrentMemory final : public AttentionStrategy {
 public:
  RecurrentMemory(const ModelInfo& model, const Options& options, std::span<const int64_t> layers)
      : model_(model),
        layers_(layers.begin(), layers.end()),
        options_(read_options(model, options)),
        projections_(model, read_rotary_options(model, options)) {
    check_xpos_places(projections_.options().xpos, n_places(), "segment_size");
    require_all_layers(model, layers);
  }

  Traits traits() const override { return recurrent_traits(options_.segment); }

  std::vector<StateSpec> states() const override {
    std::vector<StateSpec> states{memory_state()};
    for (const int64_t layer : layers_)
      for (const char* name : {"attn_k", "attn_v"})
        states.push_back(
            {.name = layer_name(layer, name), .columns = model_.key_columns(), .rows = n_places()});
    return states;
  }

  std::vector<ExtraRows> extra_rows() const override {
    return {{ExtraRows::When::kBegin, kReadRole, options_.memory, kMemoryState},
            {ExtraRows::When::kEnd, kWriteRole, options_.memory, kMemoryState}};
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = recurrent_place(g, options_.memory, true);
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    const Value q = projections_.query(g, layer, x, place);
    const Value k = projections_.key(g, layer, x, place);
    op::state_write(g, k, keys, place, kAllRoles);
    op::state_write(g, project(g, layer, "attn_v", x), values, place, kAllRoles);
    const Value mixed = op::attend(g, {q}, {{keys, values, op::window_range(g, place)}},
                                   model_.num_attention_heads, model_.num_key_value_heads);
    return project(g, layer, "attn_output", mixed);
  }

  void finish(GraphBuilder& g, Value x) override { write_memory(g, model_, x, options_.memory); }

  int64_t phase_rows(Phase phase) const override {
    return phase == Phase::kInit && !options_.trained ? options_.memory : 0;
  }

  // As large as the embeddings are, so that the model takes it for tokens.
  void contribute(Phase phase, GraphBuilder& g) override {
    if (phase_rows(phase) == 0) return;
    const Value row = op::row_index(g);
    op::state_write(g, op::lookup(g, g.weight("token_embd.weight"), row), g.state(kMemoryState),
                    row);
  }

  bool depends_on(std::string_view option) const override {
    if (option == "xl_memories" || option == "padding") return false;
    return option != "eval_length" || projections_.options().scaling.needs_eval_length;
  }

 private:
  // Of one segment and its memory.
  int64_t n_places() const { return options_.memory + options_.segment + options_.memory; }

  StateSpec memory_state() const {
    StateSpec spec{.name = kMemoryState, .columns = model_.hidden_size, .rows = options_.memory};
    spec.initial = options_.trained ? StateSpec::Initial::kWeight : StateSpec::Initial::kInit;
    if (options_.trained) spec.initial_weight = kTrainedMemory;
    return spec;
  }

  ModelInfo model_;
  std::vector<int64_t> layers_;
  RecurrentOptions options_;
  RotaryProjections projections_;
};

class RecurrentMemoryPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "recurrent_memory"; }
  int version() const override { return 1; }

  std::vector<OptionSpec> options() const override {
    std::vector<OptionSpec> specs = rotary_option_specs();
    specs.push_back({.name = "num_mem_tokens",
                     .type = OptionType::kInt,
                     .default_value = int64_t{0},
                     .help =
                         "Memory tokens before each segment, and as many after it; auto or 0: the "
                         "model's.",
                     .min = 0,
                     .max = 1 << 20,
                     .zero_is_auto = true});
    specs.push_back({.name = "segment_size",
                     .type = OptionType::kInt,
                     .default_value = int64_t{0},
                     .help =
                         "Tokens per segment; auto or 0: the model's, or its training length minus "
                         "the memory tokens.",
                     .min = 0,
                     .max = 1 << 24,
                     .zero_is_auto = true});
    specs.push_back({.name = "initial",
                     .type = OptionType::kText,
                     .default_value = std::string("trained"),
                     .help =
                         "Memory tokens of a new session; untrained: the embeddings of the first "
                         "token ids, for a model that was not trained with memory tokens.",
                     .choices = {"trained", "untrained"}});
    specs.push_back({.name = "xl_memories",
                     .type = OptionType::kBool,
                     .default_value = true,
                     .help = "Attention of a model made for it sees the last keys of the segment "
                             "before; false: as the original's wrapper computes losses.",
                     .joined_later = true});
    specs.push_back({.name = "padding",
                     .type = OptionType::kBool,
                     .default_value = false,
                     .help = "Sessions of a model made for it have a state of that name, for "
                             "tokens of the running segment that no row may see.",
                     .joined_later = true});
    return specs;
  }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t> layers) const override {
    if (model.architecture == "rmt") return make_recurrent_network(model, options, layers);
    return std::make_unique<RecurrentMemory>(model, options, layers);
  }

  std::vector<Operation> operations() const override {
    std::vector<Operation> all = recurrent_sight_operations();
    all.push_back(recurrent_place_operation());
    return all;
  }

  std::span<const perdure_kernel> kernels() const override {
    static const std::vector<perdure_kernel> all = [] {
      const auto of_place = recurrent_place_kernels(), of_sight = recurrent_sight_kernels();
      std::vector<perdure_kernel> kernels(of_place.begin(), of_place.end());
      kernels.insert(kernels.end(), of_sight.begin(), of_sight.end());
      return kernels;
    }();
    return all;
  }
};

}  // namespace
}  // namespace perdure

PERDURE_PLUGIN(attention, recurrent_memory, 0) {
  static const perdure::RecurrentMemoryPlugin plugin;
  return static_cast<const perdure::AttentionPlugin*>(&plugin);
}
