// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/llama_names.hpp"

namespace perdure {
namespace {

constexpr LlamaNames::Renaming kHuggingFaceOutside[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
    {"lm_head.bias", "output.bias"},
};

// Parts of it are consecutive: every user has a llama's, and some what stands before or behind.
constexpr LlamaNames::Renaming kInside[] = {
    // Qwen 3's.
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    // Llama's.
    {"input_layernorm", "attn_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    // CEPE's.
    {"cross_attn.layernorm", "cross_attn_norm"},
    {"cross_attn.q_proj", "cross_attn_q"},
    {"cross_attn.k_proj", "cross_attn_k"},
    {"cross_attn.v_proj", "cross_attn_v"},
    {"cross_attn.o_proj", "cross_attn_output"},
};
constexpr size_t kHeadNorms = 2, kCrossAttention = 5;
constexpr auto kQwen3Inside = std::span(kInside).first(std::size(kInside) - kCrossAttention);
constexpr auto kLlamaInside = kQwen3Inside.subspan(kHeadNorms);
constexpr auto kCepeInside = std::span(kInside).subspan(kHeadNorms);

constexpr LlamaNames::Renaming kCepeOutside[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
    // Of the encoder alone; its bias has two names.
    {"lm_bias", "output.bias"},
    {"lm_head.bias", "output.bias"},
    {"lm_dense.weight", "mlm_dense.weight"},
    {"lm_dense.bias", "mlm_dense.bias"},
    {"lm_layer_norm.weight", "mlm_norm.weight"},
};

constexpr LlamaNames::Renaming kCepeEncoderOutside[] = {
    {"encoder.embed_tokens.weight", "token_embd.weight"},
    {"encoder.norm.weight", "output_norm.weight"},
};

constexpr LlamaNames::Renaming kLlama2cOutside[] = {
    {"tok_embeddings.weight", "token_embd.weight"},
    {"norm.weight", "output_norm.weight"},
    {"output.weight", "output.weight"},
    {"output.bias", "output.bias"},
};

constexpr LlamaNames::Renaming kLlama2cInside[] = {
    {"attention_norm", "attn_norm"}, {"ffn_norm", "ffn_norm"},
    {"attention.wq", "attn_q"},      {"attention.wk", "attn_k"},
    {"attention.wv", "attn_v"},      {"attention.wo", "attn_output"},
    {"feed_forward.w1", "ffn_gate"}, {"feed_forward.w2", "ffn_down"},
    {"feed_forward.w3", "ffn_up"},
};

}  // namespace

constinit const LlamaNames kHuggingFaceNames{"model.layers.", kHuggingFaceOutside, kQwen3Inside};
constinit const LlamaNames kHuggingFaceLlamaNames{"model.layers.", kHuggingFaceOutside,
                                                  kLlamaInside};
constinit const LlamaNames kCepeNames{"model.layers.", kCepeOutside, kCepeInside};
constinit const LlamaNames kCepeEncoderNames{"encoder.layers.", kCepeEncoderOutside, kLlamaInside};
constinit const LlamaNames kLlama2cNames{"layers.", kLlama2cOutside, kLlama2cInside};

std::string LlamaNames::own(const std::string& name) const {
  const std::string unknown = "?" + name;
  for (const auto& [theirs, ours] : outside)
    if (name == theirs) return std::string(ours);
  if (!name.starts_with(layers)) return unknown;
  const size_t dot = name.find('.', layers.size()), end = name.rfind('.');
  if (dot == name.npos || end <= dot) return unknown;
  const std::string layer = name.substr(layers.size(), dot - layers.size());
  const std::string part = name.substr(dot + 1, end - dot - 1);
  for (const auto& [theirs, ours] : inside)
    if (part == theirs) return "blk." + layer + "." + std::string(ours) + name.substr(end);
  return unknown;
}

std::string LlamaNames::in_file(const std::string& name) const {
  for (const auto& [theirs, ours] : outside)
    if (name == ours) return std::string(theirs);
  const size_t begin = name.find('.') + 1, dot = name.find('.', begin), end = name.rfind('.');
  const std::string part = name.substr(dot + 1, end - dot - 1);
  for (const auto& [theirs, ours] : inside)
    if (part == ours)
      return std::string(layers) + name.substr(begin, dot + 1 - begin) + std::string(theirs) +
             name.substr(end);
  return name;
}

}  // namespace perdure
