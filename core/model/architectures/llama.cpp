// SPDX-License-Identifier: Apache-2.0

// llama: pre-norm blocks of token mixing and a gated feed-forward. Llama 2 and 3, TinyLlama,
// Mistral, and with biases or norms of queries and keys, which a strategy's projections apply where
// the model has such weights, Qwen 2 and 3; the decoder of CEPE, whose encoder and cross-attention
// are a strategy's. And `llama_mlm`: the same blocks as an encoder that fills in masked tokens.
#include <algorithm>

#include "core/api/operations.hpp"
#include "core/base/checked.hpp"
#include "core/model/architectures/architecture.hpp"
#include "sdk/blocks.hpp"

namespace perdure {
namespace {

void check_heads(const Metadata& m, const ModelInfo& info) {
  const auto text = [](int64_t n) { return std::to_string(n); };
  if (info.num_attention_heads % info.num_key_value_heads != 0)
    m.fail("num_key_value_heads",
           "is " + text(info.num_key_value_heads) +
               ", which does not divide num_attention_heads = " + text(info.num_attention_heads));
  if (!m.has("head_dim") && info.hidden_size % info.num_attention_heads != 0)
    m.fail("num_attention_heads",
           "is " + text(info.num_attention_heads) +
               ", which does not divide hidden_size = " + text(info.hidden_size));
  const int64_t rotated = info.rotated_size();
  if (rotated % 2 != 0 || rotated > info.head_size)
    m.fail("head_dim", "makes heads of " + text(info.head_size) + " values of which " +
                           text(rotated) + " rotate; these must be an even part of them");
  checked_mul(info.num_attention_heads, info.head_size, "num_attention_heads * head_dim");
}

RotationOrder rotation_order(const Metadata& m) {
  const std::string order = m.text("rotation_order", "adjacent");
  if (order != "adjacent" && order != "halves")
    m.fail("rotation_order", "is '" + order + "' but must be adjacent or halves");
  return order == "halves" ? RotationOrder::kHalves : RotationOrder::kAdjacentPairs;
}

void read_tokens(const Metadata& m, ModelInfo& info) {
  info.vocab_size = m.size("vocab_size");
  info.padded_vocab_size = m.size("padded_vocab_size", info.vocab_size);
  if (info.padded_vocab_size < info.vocab_size)
    m.fail("padded_vocab_size", "is less than vocab_size");
  if (m.has("bos_token_id")) {
    const std::vector<int32_t> ids = m.ids("bos_token_id");
    info.bos_id = ids.empty() ? -1 : ids.front();
  }
  if (m.has("eos_token_id")) info.eos_ids = m.ids("eos_token_id");
}

void read(const Metadata& m, ModelSpec& spec) {
  ModelInfo& info = spec.info;
  info.hidden_size = m.size("hidden_size");
  info.num_hidden_layers = m.n_layers();
  info.num_attention_heads = m.size("num_attention_heads");
  info.num_key_value_heads = m.size("num_key_value_heads", info.num_attention_heads);
  info.head_size =
      m.size("head_dim", std::max<int64_t>(1, info.hidden_size / info.num_attention_heads));
  info.value_head_size = m.size("value_head_dim", info.head_size);
  info.rotary_size = m.size("rotary_dim", info.head_size);
  info.rotation_order = rotation_order(m);
  info.train_length = m.size("max_position_embeddings");
  if (m.has("memory_length")) info.mem_len = m.size("memory_length");
  info.rope_theta = m.positive_real("rope_theta", info.rope_theta);
  info.rms_norm_eps = m.positive_real("rms_norm_eps", info.rms_norm_eps);
  if (m.has("score_scale")) info.score_scale = m.positive_real("score_scale", 1.0);
  if (m.has("attn_logit_softcapping"))
    info.score_soft_cap = m.positive_real("attn_logit_softcapping", 1.0);
  spec.intermediate_size = m.size("intermediate_size");
  read_tokens(m, info);
  check_heads(m, info);
}

// Layers without an initial memory were trained with attention over everything.
TrainedStrategy trained_strategy(const Model& model) {
  if (model.find("blk.0.lstm_h") != nullptr) return {.strategy = "chunk_lstm"};
  if (model.find("recurrent_memory") != nullptr) return {.strategy = "recurrent_memory"};
  if (model.spec().info.size("cross_attention.layers", 0) > 0)
    return {.strategy = "parallel_encoding"};
  const int64_t n_layers = model.spec().info.num_hidden_layers;
  TrainedStrategy::Layers plain{{}, "full"};
  for (int64_t layer = 0; layer < n_layers; ++layer)
    if (model.find("blk." + std::to_string(layer) + ".mem_init") == nullptr)
      plain.layers.push_back(layer);
  if (static_cast<int64_t>(plain.layers.size()) == n_layers) return {.strategy = "full"};
  TrainedStrategy trained{.strategy = "memory"};
  if (!plain.layers.empty()) trained.others.push_back(std::move(plain));
  return trained;
}

// The residual stream behind the last layer.
Value build_blocks(GraphBuilder& g, const ModelSpec& spec, const StrategyNodes& strategies,
                   const std::vector<Value>& sources) {
  const double eps = spec.info.rms_norm_eps;
  Value x = op::row_input(g, g.weight("token_embd.weight"), sources);
  for (int64_t layer = 0; layer < spec.info.num_hidden_layers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    x = op::add(g, x, strategies.mix(g, layer, blocks::norm(g, block + "attn_norm", x, eps)));
    if (strategies.extra_block) {
      const Value extra = strategies.extra_block(g, layer, x);
      if (extra.valid()) x = op::add(g, x, extra);
    }
    const Value normed = blocks::norm(g, block + "ffn_norm", x, eps);
    x = op::add(g, x, blocks::gated_feed_forward(g, block + "ffn_", normed));
  }
  if (strategies.finish) strategies.finish(g, x);
  return x;
}

void build(GraphBuilder& g, const ModelSpec& spec, const StrategyNodes& strategies,
           const std::vector<Value>& sources) {
  const Value x = build_blocks(g, spec, strategies, sources);
  g.output("logits", blocks::logits(g, x, spec.info.rms_norm_eps));
}

TrainedStrategy trained_encoder(const Model&) { return {.strategy = "bidirectional"}; }

// What token stands at each place: logits = norm(silu(dense(h))) E^T + bias.
void build_encoder(GraphBuilder& g, const ModelSpec& spec, const StrategyNodes& strategies,
                   const std::vector<Value>& sources) {
  const double eps = spec.info.rms_norm_eps;
  const Value x = op::select_outputs(g, build_blocks(g, spec, strategies, sources));
  const Value dense = blocks::linear(g, "mlm_dense", blocks::norm(g, "output_norm", x, eps));
  const Value normed = blocks::norm(g, "mlm_norm", op::silu(g, dense), eps);
  const char* classifier = g.has_weight("output.weight") ? "output.weight" : "token_embd.weight";
  const Value logits = op::mat_mul(g, normed, g.weight(classifier));
  g.output("logits", blocks::with_bias(g, "output", logits));
}

}  // namespace

Architecture llama_architecture() {
  return {
      .names = {"llama", "LlamaForCausalLM", "MistralForCausalLM", "qwen2", "Qwen2ForCausalLM",
                "qwen3", "Qwen3ForCausalLM", "LlamaForCausalContextLM", "LlamaForReplugCausalLM"},
      .read = read,
      .trained_strategy = trained_strategy,
      .build_step = build};
}

Architecture llama_mlm_architecture() {
  return {.names = {"llama_mlm", "LlamaForMLM"},
          .read = read,
          .trained_strategy = trained_encoder,
          .build_step = build_encoder};
}

}  // namespace perdure
