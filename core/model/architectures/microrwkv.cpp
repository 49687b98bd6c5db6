// SPDX-License-Identifier: Apache-2.0

// The entry of MicroRWKV: token and place embedding, blocks of a mixing of tokens and of experts,
// logits. A block's four ways of mixing tokens are the strategy's (sdk/microrwkv_mixer.hpp); they
// get the residual stream as it is. Places count from 0 again behind block_size.
// Source: MicroRWKV, modelGenerate.py.
#include "core/api/operations.hpp"
#include "core/model/architectures/architecture.hpp"
#include "sdk/blocks.hpp"

namespace perdure {
namespace {

constexpr double kOutputNormEps = 1e-5;
// The original adds 1e-8 to the root of the mean square; this is inside the root, for which the
// result is the same to F32's last bit unless the row itself is as small.
constexpr double kRowNormEps = 1e-16;
// <|endoftext|> of GPT-2's vocabulary, where it is one.
constexpr int32_t kEndOfText = 50256;

void read(const Metadata& m, ModelSpec& spec) {
  ModelInfo& info = spec.info;
  info.hidden_size = m.size("hidden_size");
  info.num_hidden_layers = m.n_layers();
  info.num_attention_heads = m.size("num_attention_heads");
  constexpr int64_t kParts = 4;  // of a row, each with all heads
  if (info.num_attention_heads > info.hidden_size ||
      info.hidden_size % (kParts * info.num_attention_heads) != 0)
    m.fail("num_attention_heads", "is " + std::to_string(info.num_attention_heads) +
                                      ", and four times that does not divide hidden_size = " +
                                      std::to_string(info.hidden_size));
  info.head_size = info.hidden_size / info.num_attention_heads;
  info.num_key_value_heads = 0;  // no keys that another strategy could attend to
  info.vocab_size = m.size("vocab_size");
  info.train_length = m.size("max_position_embeddings");
  info.rms_norm_eps = kRowNormEps;
  info.sizes["num_experts"] = m.size("num_experts");
  info.bos_id = -1;
  info.eos_ids.clear();
  if (info.vocab_size > kEndOfText) info.eos_ids = {kEndOfText};
  spec.intermediate_size = m.size("intermediate_size");
}

TrainedStrategy trained_strategy(const Model&) { return {.strategy = "microrwkv"}; }

// All experts that there are, weighed by the gate; they are linear.
Value experts(GraphBuilder& g, const std::string& block, Value x, int64_t n_experts) {
  const Value scores = op::softmax(g, blocks::linear(g, block + "ffn_gate", x));
  Value sum;
  for (int64_t i = 0; i < n_experts; ++i) {
    const Value y = blocks::linear(g, block + "ffn_expert." + std::to_string(i), x);
    const Value weighed = op::scale_rows(g, y, op::slice(g, scores, i, 1));
    sum = sum.valid() ? op::add(g, sum, weighed) : weighed;
  }
  return blocks::linear(g, block + "ffn_output", sum);
}

void build(GraphBuilder& g, const ModelSpec& spec, const StrategyNodes& strategies,
           const std::vector<Value>& sources) {
  const ModelInfo& info = spec.info;
  const Value tokens = op::row_input(g, g.weight("token_embd.weight"), sources);
  const Value place = op::row_index(g, info.train_length);
  Value x = op::add(g, tokens, op::lookup(g, g.weight("position_embd.weight"), place));
  for (int64_t layer = 0; layer < info.num_hidden_layers; ++layer) {
    x = op::add(g, x, strategies.mix(g, layer, x));
    const std::string block = "blk." + std::to_string(layer) + ".";
    x = op::add(g, x, experts(g, block, x, info.size("num_experts")));
  }
  if (strategies.finish) strategies.finish(g, x);
  g.output("logits", blocks::logits(g, x, kOutputNormEps));
}

}  // namespace

Architecture microrwkv_architecture() {
  return {.names = {"microrwkv"},
          .read = read,
          .trained_strategy = trained_strategy,
          .build_step = build};
}

}  // namespace perdure
