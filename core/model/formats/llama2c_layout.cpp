// SPDX-License-Identifier: Apache-2.0

// The order of tensors, after section 1.1 of the specification.
#include "core/model/formats/llama2c_layout.hpp"

#include <utility>

namespace perdure {
namespace {

// Appends tensors; `layers` appends one for every layer.
class Layout {
 public:
  explicit Layout(const Llama2cHeader& header) : h_(header) {}

  void one(const char* name, int64_t rows, int64_t columns, bool quantised = false) {
    tensors_.push_back({name, rows, columns, quantised});
  }
  void layers(const char* name, int64_t rows, int64_t columns, bool quantised = false) {
    for (int64_t layer = 0; layer < h_.n_layers; ++layer)
      tensors_.push_back({"blk." + std::to_string(layer) + "." + name, rows, columns, quantised});
  }
  void embedding() { one("token_embd.weight", h_.vocab_size, h_.dim, h_.quantised()); }
  void classifier() {
    if (!h_.shared) one("output.weight", h_.vocab_size, h_.dim, h_.quantised());
  }
  void attention() {
    const bool q = h_.quantised();
    layers("attn_q.weight", h_.dim, h_.dim, q);
    layers("attn_k.weight", h_.kv_size(), h_.dim, q);
    layers("attn_v.weight", h_.kv_size(), h_.dim, q);
    layers("attn_output.weight", h_.dim, h_.dim, q);
  }
  void feed_forward(const char* gate, const char* down, const char* up) {
    const bool q = h_.quantised();
    layers(gate, h_.hidden_dim, h_.dim, q);
    layers(down, h_.dim, h_.hidden_dim, q);
    layers(up, h_.hidden_dim, h_.dim, q);
  }
  void main_feed_forward() { feed_forward("ffn_gate.weight", "ffn_down.weight", "ffn_up.weight"); }
  std::vector<Llama2cTensor> take() { return std::move(tensors_); }

 private:
  const Llama2cHeader& h_;
  std::vector<Llama2cTensor> tensors_;
};

std::vector<Llama2cTensor> v0_layout(const Llama2cHeader& h) {
  Layout file(h);
  file.embedding();
  file.layers("attn_norm.weight", 1, h.dim);
  file.attention();
  file.layers("ffn_norm.weight", 1, h.dim);
  file.main_feed_forward();
  file.one("output_norm.weight", 1, h.dim);
  file.one("", h.seq_len, h.head_size());  // tables of cosines and sines
  file.classifier();
  return file.take();
}

}  // namespace

std::vector<Llama2cTensor> llama2c_layout(const Llama2cHeader& h) {
  if (h.kind == Llama2cKind::kV0) return v0_layout(h);
  const bool memory = h.kind == Llama2cKind::kV2Mem;
  Layout file(h);
  file.layers("attn_norm.weight", 1, h.dim);
  file.layers("ffn_norm.weight", 1, h.dim);
  if (memory) {
    file.layers("mem_norm.weight", 1, h.dim);
    file.layers("mem_ffn_norm.weight", 1, h.dim);
    file.layers("mem_init", h.mem_len, h.dim);
  }
  file.one("output_norm.weight", 1, h.dim);
  file.embedding();
  file.attention();
  file.main_feed_forward();
  if (memory) file.feed_forward("mem_ffn_gate.weight", "mem_ffn_down.weight", "mem_ffn_up.weight");
  file.classifier();
  return file.take();
}

}  // namespace perdure
