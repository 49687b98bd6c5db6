// SPDX-License-Identifier: Apache-2.0

// attention.parallel_encoding: Context Expansion with Parallel Encoding (CEPE; Yen, Gao, Chen
// 2024). A llama reads its text as under `full`; contexts come as chunks of the input stream
// `contexts` and pass through a small encoder, each by itself. In its last layers the llama also
// attends to what the encoder makes of them, without places: their order does not matter, and
// without contexts the model is the llama.
//
// States: per layer keys and values of the text; of the contexts either keys and values per layer
// with cross-attention ("blk.N.cross_attn_k", "_v") or, where queries absorb the projections, the
// encoder's rows ("encoder_states", or "encoder_states.J" for entry J of its list).
#include <algorithm>
#include <set>
#include <string>

#include "core/api/plugin.h"
#include "plugins/attention/parallel_encoding/absorb.hpp"
#include "plugins/attention/parallel_encoding/encoder.hpp"
#include "plugins/attention/parallel_encoding/options.hpp"

namespace perdure {
namespace {

constexpr const char* kStream = "contexts";

class ParallelEncoding final : public AttentionStrategy {
 public:
  ParallelEncoding(const ModelInfo& model, const Options& options, std::span<const int64_t> layers)
      : model_(model),
        layers_(layers.begin(), layers.end()),
        options_(read_parallel_options(model, options)),
        projections_(model, options_.rotary),
        encoder_(model, options_.rotary) {}

  Traits traits() const override { return {.can_rewind = true, .needs_trained_weights = true}; }

  std::vector<StateSpec> states() const override {
    std::vector<StateSpec> states;
    for (const int64_t layer : layers_)
      for (const char* name : {"attn_k", "attn_v"})
        states.push_back({.name = layer_name(layer, name),
                          .columns = model_.key_columns(),
                          .growth = Growth::kAppended,
                          .rows = options_.max_length});
    for (const auto& [name, columns] : context_states())
      states.push_back({.name = name,
                        .columns = columns,
                        .growth = Growth::kAppended,
                        .rows = options_.max_contexts,
                        .stream = kStream});
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = op::row_index(g);
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    const Value q = projections_.query(g, layer, x, place);
    op::state_write(g, projections_.key(g, layer, x, place), keys, place);
    op::state_write(g, project(g, layer, "attn_v", x), values, place);
    const Value mixed = op::attend(g, {q}, {{keys, values, op::window_range(g, place)}},
                                   model_.num_attention_heads, model_.num_key_value_heads);
    return project(g, layer, "attn_output", mixed);
  }

  Value extra_block(GraphBuilder& g, int64_t layer, Value residual) override {
    if (!has_cross_attention(layer)) return {};
    const Value x =
        blocks::norm(g, layer_name(layer, "cross_attn_norm"), residual, model_.rms_norm_eps);
    const Value q = project(g, layer, "cross_attn_q", x);
    return project(g, layer, "cross_attn_output",
                   options_.absorbed ? attend_to_rows(g, layer, q) : attend_to_keys(g, layer, q));
  }

  std::vector<InputStream> input_streams() const override {
    if (cross_layers().empty()) return {};
    const int64_t length = options_.chunk + options_.query;
    return {{.name = kStream,
             .vocab_size = encoder_.info().vocab_size,
             .max_chunk = length,
             .query = options_.query,
             .keeps_query = options_.keeps_query,
             .rows_per_step = options_.batch * length}};
  }

  void contribute_input(const std::string&, GraphBuilder& g) override {
    const std::vector<Value> entries = encoder_.encode(g);
    if (options_.absorbed) {
      for (const size_t entry : entries_used()) write(g, entries[entry], rows_name(entry));
      return;
    }
    for (const int64_t layer : cross_layers())
      for (const char* name : {"cross_attn_k", "cross_attn_v"})
        write(g, project(g, layer, name, entries[entry_of(layer)]), layer_name(layer, name));
  }

  bool depends_on(std::string_view option) const override {
    if (option == "eval_length") return options_.rotary.scaling.needs_eval_length;
    // A query stands behind the longest chunk.
    return option != "chunk" || options_.query > 0;
  }

 private:
  bool has_cross_attention(int64_t layer) const {
    return layer >= model_.num_hidden_layers - model_.size("cross_attention.layers");
  }

  std::vector<int64_t> cross_layers() const {
    std::vector<int64_t> layers;
    std::ranges::copy_if(layers_, std::back_inserter(layers),
                         [&](int64_t layer) { return has_cross_attention(layer); });
    return layers;
  }

  // Which of the encoder's states a layer reads; lists and layers are counted from their ends.
  size_t entry_of(int64_t layer) const {
    const int64_t last = encoder_.info().num_hidden_layers;
    const bool several = model_.size("cross_attention.hidden_states") > 1;
    return static_cast<size_t>(several ? last + 1 + layer - model_.num_hidden_layers : last);
  }

  std::set<size_t> entries_used() const {
    std::set<size_t> entries;
    for (const int64_t layer : cross_layers()) entries.insert(entry_of(layer));
    return entries;
  }

  std::string rows_name(size_t entry) const {
    const bool several = model_.size("cross_attention.hidden_states") > 1;
    return several ? "encoder_states." + std::to_string(entry) : "encoder_states";
  }

  // Names and columns of what is kept of contexts.
  std::vector<std::pair<std::string, int64_t>> context_states() const {
    std::vector<std::pair<std::string, int64_t>> states;
    if (options_.absorbed)
      for (const size_t entry : entries_used())
        states.emplace_back(rows_name(entry), encoder_.info().hidden_size);
    else
      for (const int64_t layer : cross_layers())
        for (const char* name : {"cross_attn_k", "cross_attn_v"})
          states.emplace_back(layer_name(layer, name), model_.key_columns());
    return states;
  }

  void write(GraphBuilder& g, Value x, const std::string& state) const {
    const int64_t query_rows = options_.keeps_query ? 1 << kQueryRole : 0;
    op::state_write(g, x, g.state(state), op::stream_index(g),
                    1 << PERDURE_ROLE_TOKEN | query_rows);
  }

  Value attend_to_keys(GraphBuilder& g, int64_t layer, Value q) const {
    const Value keys = g.state(layer_name(layer, "cross_attn_k"));
    const Value values = g.state(layer_name(layer, "cross_attn_v"));
    return op::attend(g, {q}, {{keys, values, op::live_range(g, keys)}}, model_.num_attention_heads,
                      model_.num_key_value_heads);
  }

  Value attend_to_rows(GraphBuilder& g, int64_t layer, Value q) const {
    const int64_t n = model_.num_attention_heads, n_kv = model_.num_key_value_heads;
    const Value rows = g.state(rows_name(entry_of(layer)));
    q = absorb_heads(g, q, g.weight(layer_name(layer, "cross_attn_k.weight")), n, n_kv);
    const Value mixed = op::attend(g, {q}, {{rows, rows, op::live_range(g, rows)}}, n, 1, {},
                                   {.scale = model_.scale_of_scores()});
    return release_heads(g, mixed, g.weight(layer_name(layer, "cross_attn_v.weight")), n, n_kv);
  }

  ModelInfo model_;
  std::vector<int64_t> layers_;
  ParallelOptions options_;
  RotaryProjections projections_;
  Encoder encoder_;
};

class ParallelEncodingPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "parallel_encoding"; }
  int version() const override { return 1; }
  std::vector<OptionSpec> options() const override { return parallel_option_specs(); }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options& options,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<ParallelEncoding>(model, options, layers);
  }

  std::vector<Operation> operations() const override { return {absorb_operation()}; }
  std::span<const perdure_kernel> kernels() const override { return absorb_kernels(); }
};

}  // namespace
}  // namespace perdure

PERDURE_PLUGIN(attention, parallel_encoding, 0) {
  static const perdure::ParallelEncodingPlugin plugin;
  return static_cast<const perdure::AttentionPlugin*>(&plugin);
}
