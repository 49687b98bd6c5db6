// SPDX-License-Identifier: Apache-2.0

// attention.chunk_lstm: llama2Rnn's ChunkLSTM (specification, section 3.3): an LSTM whose state has
// a row for every place in a chunk of M tokens, and whose candidate g mixes the chunk's rows. Row r
// of a chunk needs of the previous chunk rows r of h and c, and of its own chunk the un-mixed
// candidates u of rows 0 .. r: the gates are row-wise and `reduce` is lower triangular. So it runs
// token by token, chunks may be cut anywhere, and nothing happens at a chunk's end; the segments
// only keep rows of two chunks out of one step.
//
// States of layer N: blk.N.lstm_h and lstm_c [M, d], row r of the latest token with place r;
// blk.N.lstm_u [M, d].
#include <string>

#include "core/api/plugin.h"
#include "plugins/attention/chunk_lstm/mix_rows.hpp"
#include "sdk/rotary_attention.hpp"

namespace perdure {
namespace {

class ChunkLstm final : public AttentionStrategy {
 public:
  ChunkLstm(const ModelInfo& model, std::span<const int64_t> layers)
      : model_(model), layers_(layers.begin(), layers.end()) {
    if (model.mem_len == 0)
      throw UsageError(
          "attention.strategy: chunk_lstm needs a model with LSTM weights, which this model lacks");
  }

  Traits traits() const override {
    return {
        .constant_memory = true, .needs_trained_weights = true, .segment_length = model_.mem_len};
  }

  std::vector<StateSpec> states() const override {
    std::vector<StateSpec> states;
    for (const int64_t layer : layers_) {
      StateSpec u{.name = layer_name(layer, "lstm_u"),
                  .columns = model_.hidden_size,
                  .rows = model_.mem_len};
      states.push_back(u);
      for (const char* name : {"lstm_h", "lstm_c"}) {
        StateSpec spec = u;
        spec.name = spec.initial_weight = layer_name(layer, name);
        spec.initial = StateSpec::Initial::kWeight;
        states.push_back(spec);
      }
    }
    return states;
  }

  Value mix(GraphBuilder& g, int64_t layer, Value x) override {
    const Value place = op::segment_index(g);
    const Value h_state = g.state(layer_name(layer, "lstm_h"));
    const Value c_state = g.state(layer_name(layer, "lstm_c"));
    const Value u_state = g.state(layer_name(layer, "lstm_u"));
    const Value h = op::state_read(g, h_state, place);
    const Value c = op::state_read(g, c_state, place);
    const auto sum = [&](const char* of_x, const char* of_h) {
      return op::add(g, project(g, layer, of_x, x), project(g, layer, of_h, h));
    };
    const Value input_gate = op::sigmoid(g, sum("lstm_ii", "lstm_hi"));
    const Value forget_gate = op::sigmoid(g, sum("lstm_if", "lstm_hf"));
    const Value output_gate = op::sigmoid(g, sum("lstm_io", "lstm_ho"));
    op::state_write(g, sum("lstm_ig", "lstm_hg"), u_state, place);
    const Value reduce = g.weight(layer_name(layer, "lstm_reduce"));
    const Value candidate = op::tanh(g, mix_rows(g, u_state, reduce, place));
    const Value new_c = op::add(g, op::mul(g, forget_gate, c), op::mul(g, input_gate, candidate));
    const Value new_h = op::mul(g, output_gate, op::tanh(g, new_c));
    op::state_write(g, new_c, c_state, place);
    op::state_write(g, new_h, h_state, place);
    return project(g, layer, "attn_output", new_h);
  }

 private:
  ModelInfo model_;
  std::vector<int64_t> layers_;
};

class ChunkLstmPlugin final : public AttentionPlugin {
 public:
  std::string_view name() const override { return "chunk_lstm"; }
  int version() const override { return 1; }
  std::vector<OptionSpec> options() const override { return {eval_length_option()}; }

  std::unique_ptr<AttentionStrategy> create(const ModelInfo& model, const Options&,
                                            std::span<const int64_t> layers) const override {
    return std::make_unique<ChunkLstm>(model, layers);
  }

  std::vector<Operation> operations() const override { return {mix_rows_operation()}; }
  std::span<const perdure_kernel> kernels() const override { return mix_rows_kernels(); }
};

}  // namespace
}  // namespace perdure

PERDURE_PLUGIN(attention, chunk_lstm, 0) {
  static const perdure::ChunkLstmPlugin plugin;
  return static_cast<const perdure::AttentionPlugin*>(&plugin);
}
