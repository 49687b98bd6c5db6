// SPDX-License-Identifier: Apache-2.0

// From torch's names to those of the header, every shape checked against the sizes that a few
// tensors give.
#include "core/model/formats/microrwkv_safetensors.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "core/api/error.hpp"
#include "core/base/checked.hpp"
#include "core/base/shape_text.hpp"
#include "core/model/architectures/architecture.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/weight_values.hpp"

namespace perdure {
namespace {

constexpr std::string_view kPrefix = "transformer.h.0.tmix.";

using Shape = std::vector<int64_t>;

// Leading ones say nothing, nor does a last one: [1, 1, C] is [C], [H, 1] is [H].
Shape reduced(Shape shape) {
  while (shape.size() > 1 && shape.front() == 1) shape.erase(shape.begin());
  while (shape.size() > 1 && shape.back() == 1) shape.pop_back();
  return shape;
}

class Importer {
 public:
  Importer(const SafetensorsMap& tensors, const std::string& path)
      : tensors_(tensors), path_(path) {}

  Model run() {
    read_sizes();
    copy("transformer.wte", "token_embd", {vocab_size_, width_});
    copy("transformer.wpe", "position_embd", {block_size_, width_});
    if (has("lm_head.weight")) copy("lm_head", "output", {vocab_size_, width_});
    vector("transformer.ln_f.weight", "output_norm.weight", width_);
    if (has("transformer.ln_f.bias"))
      vector("transformer.ln_f.bias", "output_norm.bias", width_);
    else  // without it the norm would be by the root mean square
      add_vector("output_norm.bias", std::vector<float>(static_cast<size_t>(width_), 0.0f));
    for (layer_ = 0; layer_ < n_layers_; ++layer_) import_layer();
    refuse_unused();
    return builder_.take();
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Error(path_ + ": " + what); }

  bool has(const std::string& name) const { return tensors_.find(name) != tensors_.end(); }

  const SafetensorsTensor& get(const std::string& name) const {
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) fail("the tensor '" + name + "' is missing");
    used_.insert(it->first);
    return it->second;
  }

  // Size `axis` of a matrix.
  int64_t size(const std::string& name, size_t axis) const {
    const Shape& shape = get(name).shape;
    if (shape.size() != 2 || shape[axis] < 1)
      fail("the tensor '" + name + "' has the shape " + shape_text(shape) +
           " but must be a matrix");
    return shape[axis];
  }

  // How many there are of what is numbered from 0 behind `prefix`; a number that is left out is
  // found missing later.
  int64_t count(const std::string& prefix) const {
    int64_t most = -1;
    for (auto it = tensors_.lower_bound(prefix);
         it != tensors_.end() && it->first.starts_with(prefix); ++it) {
      int64_t number = -1;
      const char* end = it->first.data() + it->first.size();
      std::from_chars(it->first.data() + prefix.size(), end, number);
      most = std::max(most, number);
    }
    if (most < 0) fail("the tensors '" + prefix + "0...' are missing");
    return checked_add(most, 1, prefix.c_str());
  }

  std::string layer_prefix(int64_t layer) const {
    return "transformer.h." + std::to_string(layer) + ".";
  }
  std::string torch_name(const std::string& name) const { return layer_prefix(layer_) + name; }
  std::string own_name(const std::string& name) const {
    return "blk." + std::to_string(layer_) + "." + name;
  }

  void read_sizes() {
    const std::string first = layer_prefix(0);
    vocab_size_ = size("transformer.wte.weight", 0);
    width_ = size("transformer.wte.weight", 1);
    block_size_ = size("transformer.wpe.weight", 0);
    n_heads_ = get(first + "tmix.time_decay").shape.empty()
                   ? 1
                   : get(first + "tmix.time_decay").shape.front();
    n_layers_ = count("transformer.h.");
    n_experts_ = count(first + "moe.experts.");
    expert_size_ = size(first + "moe.fc.weight", 1);
    Metadata m(path_);
    m.set("hidden_size", width_);
    m.set("num_hidden_layers", n_layers_);
    m.set("num_attention_heads", n_heads_);
    m.set("vocab_size", vocab_size_);
    m.set("max_position_embeddings", block_size_);
    m.set("intermediate_size", expert_size_);
    m.set("num_experts", n_experts_);
    builder_.spec() = read_spec("microrwkv", m, "safetensors");
  }

  Weight weight(const std::string& name, const Shape& shape) const {
    const SafetensorsTensor& tensor = get(name);
    if (reduced(tensor.shape) != reduced(shape))
      fail("the tensor '" + name + "' has the shape " + shape_text(tensor.shape) + " but " +
           shape_text(shape) + " is needed");
    const int64_t rows = shape.size() == 2 ? shape[0] : 1;
    return {.dtype = weight_dtype(name, tensor, path_),
            .rows = rows,
            .columns = shape.back(),
            .data = tensor.bytes.data()};
  }

  // `from`.weight, and its bias where there is one.
  void copy(const std::string& from, const std::string& to, const Shape& shape) {
    builder_.add(to + ".weight", weight(from + ".weight", shape));
    if (has(from + ".bias")) vector(from + ".bias", to + ".bias", shape[0]);
  }
  void matrix(const std::string& from, const std::string& to, int64_t rows, int64_t columns) {
    copy(torch_name(from), own_name(to), {rows, columns});
  }

  // Vectors are F32 in every model, and aligned; small enough to be copied.
  void add_vector(const std::string& name, std::vector<float> values) {
    const auto n = static_cast<int64_t>(values.size());
    builder_.add_owned(name, 1, n, std::move(values));
  }
  void vector(const std::string& from, const std::string& to, int64_t n) {
    add_vector(to, weight_values(weight(from, {n})));
  }

  void lerps(const std::string& from, const std::string& order, const std::string& to) {
    std::vector<float> rows;
    for (const char which : order) {
      const auto row = weight_values(weight(torch_name(from) + which, {width_}));
      rows.insert(rows.end(), row.begin(), row.end());
    }
    builder_.add_owned(own_name(to), static_cast<int64_t>(order.size()), width_, std::move(rows));
  }

  // One value of each head, through `form`, for each of its channels.
  template <class Form>
  void per_head(const std::string& from, const std::string& to, const Form& form) {
    const auto heads = weight_values(weight(torch_name(from), {n_heads_}));
    const int64_t head_size = width_ / n_heads_;
    std::vector<float> channels;
    for (const float value : heads)
      channels.insert(channels.end(), static_cast<size_t>(head_size), form(value));
    add_vector(own_name(to), std::move(channels));
  }

  void import_layer() {
    const int64_t c = width_;
    import_time_mix();
    lerps("cmix.time_maa_", "kr", "channel_mix_lerp");
    matrix("cmix.key", "channel_mix_key", checked_mul(3, c, "3C"), c);
    matrix("cmix.value", "channel_mix_value", c, checked_mul(3, c, "3C"));
    matrix("cmix.receptance", "channel_mix_receptance", c, c);
    matrix("sliding_attn.qkv", "window_qkv", checked_mul(3, c, "3C"), c);
    matrix("sliding_attn.proj", "window_output", c, c);
    matrix("grouped_attn.qkvw", "group_qkvw", checked_mul(4, c, "4C"), c);
    matrix("grouped_attn.out", "group_output", c, c);
    import_experts();
  }

  void import_time_mix() {
    lerps("tmix.time_maa_", "kvrg", "time_mix_lerp");
    per_head("tmix.time_decay", "time_mix_decay", [](float x) { return std::exp(-std::exp(x)); });
    per_head("tmix.time_faaaa", "time_mix_first", [](float x) { return x; });
    for (const std::string name : {"receptance", "key", "value", "gate", "output"})
      matrix("tmix." + name, "time_mix_" + name, width_, width_);
    vector(torch_name("tmix.ln_x.weight"), own_name("time_mix_ln.weight"), width_);
    vector(torch_name("tmix.ln_x.bias"), own_name("time_mix_ln.bias"), width_);
  }

  // What is left has no place in the network.
  void refuse_unused() const {
    for (const auto& [name, tensor] : tensors_)
      if (!used_.contains(name))
        fail("the tensor '" + name + "' is in no MicroRWKV; what it does is not known here");
  }

  // A matrix that has a bias in every MicroRWKV.
  void biased(const std::string& from, const std::string& to, int64_t rows, int64_t columns) {
    get(torch_name(from) + ".bias");
    matrix(from, to, rows, columns);
  }

  void import_experts() {
    const int64_t scores = size(torch_name("moe.gate.weight"), 0);
    if (scores < n_experts_)
      fail("the tensor '" + torch_name("moe.gate.weight") + "' has " + std::to_string(scores) +
           " rows but there are " + std::to_string(n_experts_) + " experts");
    biased("moe.gate", "ffn_gate", scores, width_);
    for (int64_t i = 0; i < n_experts_; ++i) {
      const std::string number = std::to_string(i);
      biased("moe.experts." + number, "ffn_expert." + number, expert_size_, width_);
    }
    biased("moe.fc", "ffn_output", width_, expert_size_);
  }

  const SafetensorsMap& tensors_;
  const std::string& path_;
  mutable std::set<std::string_view> used_;  // names that were looked up
  ModelBuilder builder_;
  int64_t vocab_size_ = 0, width_ = 0, block_size_ = 0, n_heads_ = 0, n_layers_ = 0;
  int64_t n_experts_ = 0, expert_size_ = 0, layer_ = 0;
};

}  // namespace

bool is_microrwkv(const SafetensorsMap& tensors) { return has_prefix(tensors, kPrefix); }

Model read_microrwkv_safetensors(const SafetensorsMap& tensors, const std::string& path) {
  return Importer(tensors, path).run();
}

}  // namespace perdure
