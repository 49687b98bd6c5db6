// SPDX-License-Identifier: Apache-2.0

// The encoder is the model's own first layer without its feed-forward, attending both ways. States:
// "context_k", "context_v" [tokens of contexts, kv], made of the encoder's rows by the projections
// of the last layer, beside the usual keys and values of self-attention.
#include "tests/conformance/parallel_proof.hpp"

#include "sdk/rotary_attention.hpp"

namespace perdure::testing {
namespace {

class ParallelProof final : public AttentionStrategy {
 public:
  ParallelProof(const ModelInfo& model, std::span<const int64_t> layers)
      : model_(model),
        layers_(layers.begin(), layers.end()),
        projections_(model, trained_rotation(model)) {}

  Traits traits() const override { return {.can_rewind = true, .needs_trained_weights = true}; }

  std::vector<StateSpec> states() const override {
    constexpr int64_t kMostTokens = 4096;
    const int64_t columns = model_.num_key_value_heads * model_.head_size;
    std::vector<StateSpec> states;
    for (const char* name : {"context_k", "context_v"})
      states.push_back({.name = name,
                        .columns = columns,
                        .growth = Growth::kAppended,
                        .rows = kProofContexts,
                        .stream = "contexts"});
    for (const int64_t layer : layers_)
      for (const char* name : {"attn_k", "attn_v"})
        states.push_back({.name = layer_name(layer, name),
                          .columns = columns,
                          .growth = Growth::kAppended,
                          .rows = kMostTokens});
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = op::row_index(g);
    const Value keys = g.state(layer_name(layer, "attn_k"));
    const Value values = g.state(layer_name(layer, "attn_v"));
    op::state_write(g, key(g, layer, x, place), keys, place);
    op::state_write(g, value(g, layer, x), values, place);
    return attend(g, layer, projections_.query(g, layer, x, place),
                  {keys, values, op::window_range(g, place)});
  }

  Value extra_block(GraphBuilder& g, int64_t layer, Value residual) override {
    if (layer != last_layer()) return {};
    const Value x = normed(g, layer, residual);
    const Value q = op::mat_mul(g, x, weight(g, layer, "attn_q.weight"));
    const Value keys = g.state("context_k");
    return attend(g, layer, q, {keys, g.state("context_v"), op::live_range(g, keys)});
  }

  std::vector<InputStream> input_streams() const override {
    return {{"contexts", model_.vocab_size, kProofChunk}};
  }

  void contribute_input(const std::string&, GraphBuilder& g) override {
    const Value embedded = op::row_input(g, g.weight("token_embd.weight"));
    const Value place = op::row_index(g);
    const Value x = normed(g, 0, embedded);
    const Value mixed = attend(g, 0, projections_.query(g, 0, x, place),
                               {key(g, 0, x, place), value(g, 0, x), op::step_range(g)});
    const Value encoded = op::rms_norm(g, op::add(g, embedded, mixed),
                                       g.weight("output_norm.weight"), model_.rms_norm_eps);
    const Value index = op::stream_index(g);
    const Value k = op::mat_mul(g, encoded, weight(g, last_layer(), "attn_k.weight"));
    op::state_write(g, k, g.state("context_k"), index);
    op::state_write(g, value(g, last_layer(), encoded), g.state("context_v"), index);
  }

 private:
  int64_t last_layer() const { return model_.num_hidden_layers - 1; }

  static Value weight(GraphBuilder& g, int64_t layer, const char* what) {
    return g.weight(layer_name(layer, what));
  }

  Value normed(GraphBuilder& g, int64_t layer, Value x) const {
    return op::rms_norm(g, x, weight(g, layer, "attn_norm.weight"), model_.rms_norm_eps);
  }

  Value key(GraphBuilder& g, int64_t layer, Value x, Value place) const {
    return projections_.key(g, layer, x, place);
  }

  static Value value(GraphBuilder& g, int64_t layer, Value x) {
    return op::mat_mul(g, x, weight(g, layer, "attn_v.weight"));
  }

  Value attend(GraphBuilder& g, int64_t layer, Value q, op::KeyRange range) const {
    const Value mixed =
        op::attend(g, {q}, {range}, model_.num_attention_heads, model_.num_key_value_heads);
    return op::mat_mul(g, mixed, weight(g, layer, "attn_output.weight"));
  }

  ModelInfo model_;
  std::vector<int64_t> layers_;
  RotaryProjections projections_;
};

class ParallelProofPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "parallel_proof"; }
  int version() const override { return 1; }
  std::vector<OptionSpec> options() const override { return {}; }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options&,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<ParallelProof>(model, layers);
  }
};

const void* entry() {
  static const ParallelProofPlugin plugin;
  return static_cast<const AttentionPlugin*>(&plugin);
}

}  // namespace

StaticPlugin parallel_proof_plugin() { return {"attention", "parallel_proof", entry}; }

}  // namespace perdure::testing
