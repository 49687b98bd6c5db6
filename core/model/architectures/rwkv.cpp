// SPDX-License-Identifier: Apache-2.0

// The entry of RWKV: embedding and its norm, blocks of a time mix and a channel mix, logits. Both
// mixes look back at the token before, so both are the strategy's: the time mix is what it puts in
// the place of attention, the channel mix its second block, with the norm before it.
#include "core/model/architectures/rwkv.hpp"

#include <algorithm>

#include "core/api/operations.hpp"
#include "core/model/architectures/architecture.hpp"
#include "sdk/blocks.hpp"

namespace perdure {
namespace {

constexpr double kNormEps = 1e-5;

void read(const Metadata& m, ModelSpec& spec) {
  ModelInfo& info = spec.info;
  info.hidden_size = m.size("hidden_size");
  info.num_hidden_layers = m.n_layers();
  info.num_attention_heads = m.size("num_attention_heads");
  info.head_size = m.size("head_dim");
  if (info.num_attention_heads > info.hidden_size / info.head_size ||
      info.num_attention_heads * info.head_size != info.hidden_size)
    m.fail("num_attention_heads", "times head_dim is not hidden_size");
  info.num_key_value_heads = 0;
  info.vocab_size = m.size("vocab_size");
  info.train_length = m.size("max_position_embeddings", 0);
  info.rms_norm_eps = kNormEps;
  const int64_t version = m.size("rwkv_version");
  info.sizes["rwkv.version"] = version;
  if (version > 4)
    info.reals["rwkv.group_norm_eps"] = m.positive_real("group_norm_eps", kRwkvGroupNormEps);
  // RWKV's files say nothing about tokens; their vocabularies do (0 in World's, 2 in llama2.c's).
  info.bos_id = -1;
  info.eos_ids = {};
  if (m.has("eos_token_id")) info.eos_ids = m.ids("eos_token_id");
  spec.intermediate_size = m.size("intermediate_size");
}

TrainedStrategy trained_strategy(const Model&) { return {.strategy = "rwkv"}; }

void build(GraphBuilder& g, const ModelSpec& spec, const StrategyNodes& strategies,
           const std::vector<Value>& sources) {
  const double eps = spec.info.rms_norm_eps;
  Value x = op::row_input(g, g.weight("token_embd.weight"), sources);
  x = blocks::norm(g, "token_embd_norm", x, eps);
  for (int64_t layer = 0; layer < spec.info.num_hidden_layers; ++layer) {
    const std::string norm = "blk." + std::to_string(layer) + ".attn_norm";
    x = op::add(g, x, strategies.mix(g, layer, blocks::norm(g, norm, x, eps)));
    if (!strategies.extra_block) continue;
    const Value channel_mix = strategies.extra_block(g, layer, x);
    if (channel_mix.valid()) x = op::add(g, x, channel_mix);
  }
  if (strategies.finish) strategies.finish(g, x);
  g.output("logits", blocks::logits(g, x, eps));
}

}  // namespace

Architecture rwkv_architecture() {
  return {.names = {"rwkv"},
          .read = read,
          .trained_strategy = trained_strategy,
          .build_step = build,
          .set_initial_state = set_rwkv_initial_state};
}

}  // namespace perdure
