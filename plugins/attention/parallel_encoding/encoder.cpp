// SPDX-License-Identifier: Apache-2.0

#include "plugins/attention/parallel_encoding/encoder.hpp"

#include "core/api/operations.hpp"
#include "sdk/blocks.hpp"

namespace perdure {
namespace {

ModelInfo encoder_info(const ModelInfo& model) {
  ModelInfo info = model;
  if (model.size("encoder.is_model") != 0) return info;
  info.hidden_size = model.size("encoder.hidden_size");
  info.num_hidden_layers = model.size("encoder.num_hidden_layers");
  info.num_attention_heads = model.size("encoder.num_attention_heads");
  info.num_key_value_heads = model.size("encoder.num_key_value_heads");
  info.head_size = info.rotary_size = info.value_head_size = model.size("encoder.head_size");
  info.vocab_size = model.size("encoder.vocab_size");
  info.train_length = model.size("encoder.max_position_embeddings");
  info.rope_theta = model.real("encoder.rope_theta");
  info.rms_norm_eps = model.real("encoder.rms_norm_eps");
  return info;
}

}  // namespace

Encoder::Encoder(const ModelInfo& model, const RotaryOptions& rotation)
    : is_decoder_(model.size("encoder.is_model") != 0),
      info_(encoder_info(model)),
      prefix_(is_decoder_ ? "" : "enc."),
      rotary_(info_, is_decoder_ ? rotation : trained_rotation(info_)) {}

Value Encoder::mix(GraphBuilder& g, const std::string& block, Value x, Value place) const {
  const Value q = blocks::linear(g, block + "attn_q", x),
              k = blocks::linear(g, block + "attn_k", x);
  const Value v = blocks::linear(g, block + "attn_v", x);
  const Value range = is_decoder_ ? op::window_range(g, op::segment_index(g)) : op::step_range(g);
  const Value mixed = op::attend(g, {rotary_.rotated_query(g, q, place, place)},
                                 {{rotary_.rotated_key(g, k, place), v, range}},
                                 info_.num_attention_heads, info_.num_key_value_heads);
  return blocks::linear(g, block + "attn_output", mixed);
}

std::vector<Value> Encoder::encode(GraphBuilder& g) const {
  const Value place = op::row_index(g);
  Value x = op::row_input(g, g.weight(prefix_ + "token_embd.weight"));
  std::vector<Value> states;
  for (int64_t layer = 0; layer < info_.num_hidden_layers; ++layer) {
    states.push_back(x);
    const std::string block = prefix_ + layer_name(layer, "");
    const Value normed = blocks::norm(g, block + "attn_norm", x, info_.rms_norm_eps);
    x = op::add(g, x, mix(g, block, normed, place));
    const Value again = blocks::norm(g, block + "ffn_norm", x, info_.rms_norm_eps);
    x = op::add(g, x, blocks::gated_feed_forward(g, block + "ffn_", again));
  }
  states.push_back(blocks::norm(g, prefix_ + "output_norm", x, info_.rms_norm_eps));
  return states;
}

}  // namespace perdure
