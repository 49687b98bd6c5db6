// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/llama_weights.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "core/api/error.hpp"
#include "core/base/dtype.hpp"
#include "core/base/shape_text.hpp"
#include "core/base/shown_name.hpp"
#include "core/model/formats/weight_values.hpp"

namespace perdure {
namespace {

[[noreturn]] void fail(const LlamaTensor& tensor, const std::string& what) {
  const std::string place =
      tensor.offset < 0 ? "" : "byte offset " + std::to_string(tensor.offset) + ": ";
  throw Error(*tensor.path + ": " + place + "the tensor '" + shown_name(tensor.name) + "' " + what);
}

// The tensor as a weight if its shape is [rows, columns]; vectors have one row.
Weight weight_of(const LlamaTensors& tensors, const LlamaTensor& tensor, int64_t rows,
                 int64_t columns) {
  std::vector<int64_t> needed{columns};
  if (rows != 1) needed.push_back(rows);
  std::vector<int64_t> shape = tensor.shape;
  if (!tensors.columns_first) std::ranges::reverse(shape);
  while (shape.size() > 1 && shape.back() == 1) shape.pop_back();
  if (shape != needed) {
    if (!tensors.columns_first) std::ranges::reverse(needed);
    fail(tensor,
         "has the shape " + shape_text(tensor.shape) + " but " + shape_text(needed) + " is needed");
  }
  return {.dtype = tensor.dtype, .rows = rows, .columns = columns, .data = tensor.data};
}

std::vector<float> vector_values(const LlamaTensor& tensor, const Weight& weight) {
  if (perdure_block_values(weight.dtype) != 1)
    fail(tensor, std::string("has the type ") + dtype_name(weight.dtype) +
                     "; vectors are F32, F16 or BF16");
  return weight_values(weight);
}

class Importer {
 public:
  Importer(const LlamaTensors& tensors, const ModelSpec& spec, std::string prefix,
           ModelBuilder& builder)
      : tensors_(tensors), spec_(spec), prefix_(std::move(prefix)), builder_(builder) {}

  void run() {
    const ModelInfo& info = spec_.info;
    matrix("token_embd.weight", info.vocab_size, info.hidden_size);
    vector("output_norm.weight", info.hidden_size);
    if (find("output.weight") != nullptr)
      matrix("output.weight", info.vocab_size, info.hidden_size);
    bias("output.bias", info.vocab_size);
    if (spec_.architecture == "llama_mlm") {
      product("mlm_dense", info.hidden_size, info.hidden_size);
      vector("mlm_norm.weight", info.hidden_size);
    }
    for (int64_t layer = 0; layer < info.num_hidden_layers; ++layer) import_layer(layer);
    refuse_other_tensors();
  }

 private:
  const LlamaTensor* find(const std::string& name) const {
    const auto it = tensors_.by_name.find(name);
    return it == tensors_.by_name.end() ? nullptr : &it->second;
  }

  const LlamaTensor& get(const std::string& name) {
    const LlamaTensor* tensor = find(name);
    if (tensor == nullptr)
      throw Error(tensors_.path + ": the tensor '" + tensors_.name_in_file(name) + "' is missing");
    used_.insert(name);
    return *tensor;
  }

  void matrix(const std::string& name, int64_t rows, int64_t columns) {
    builder_.add(prefix_ + name, weight_of(tensors_, get(name), rows, columns));
  }

  // Vectors are F32 in every model; small enough to be copied.
  void vector(const std::string& name, int64_t columns) {
    const LlamaTensor& tensor = get(name);
    const Weight w = weight_of(tensors_, tensor, 1, columns);
    if (w.dtype == PERDURE_F32) return builder_.add(prefix_ + name, w);
    builder_.add_owned(prefix_ + name, 1, columns, vector_values(tensor, w));
  }

  void bias(const std::string& name, int64_t columns) {
    if (find(name) != nullptr) vector(name, columns);
  }

  // One head's norm serves all heads.
  void head_norm(const std::string& name, int64_t heads, int64_t head_size) {
    if (find(name) == nullptr) return;
    const LlamaTensor& tensor = get(name);
    const std::vector<float> one = vector_values(tensor, weight_of(tensors_, tensor, 1, head_size));
    std::vector<float> all;
    for (int64_t head = 0; head < heads; ++head) all.insert(all.end(), one.begin(), one.end());
    builder_.add_owned(prefix_ + name, 1, heads * head_size, std::move(all));
  }

  void import_layer(int64_t layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    const ModelInfo& info = spec_.info;
    const int64_t d = info.hidden_size, h = spec_.intermediate_size;
    vector(block + "attn_norm.weight", d);
    vector(block + "ffn_norm.weight", d);
    product(block + "attn_q", info.query_columns(), d);
    product(block + "attn_k", info.key_columns(), d);
    product(block + "attn_v", info.value_columns(), d);
    product(block + "attn_output", d, info.num_attention_heads * info.size_of_values());
    head_norm(block + "attn_q_norm.weight", info.num_attention_heads, info.head_size);
    head_norm(block + "attn_k_norm.weight", info.num_key_value_heads, info.head_size);
    product(block + "ffn_gate", h, d);
    product(block + "ffn_up", h, d);
    product(block + "ffn_down", d, h);
    if (layer >= info.num_hidden_layers - info.size("cross_attention.layers", 0))
      import_cross_attention(block);
  }

  // Queries of the decoder, keys and values of the encoder's rows.
  void import_cross_attention(const std::string& block) {
    const ModelInfo& info = spec_.info;
    const int64_t d = info.hidden_size, e = info.size("encoder.hidden_size");
    vector(block + "cross_attn_norm.weight", d);
    matrix(block + "cross_attn_q.weight", info.query_columns(), d);
    matrix(block + "cross_attn_k.weight", info.key_columns(), e);
    matrix(block + "cross_attn_v.weight", info.value_columns(), e);
    matrix(block + "cross_attn_output.weight", d, info.query_columns());
  }

  void product(const std::string& name, int64_t rows, int64_t columns) {
    matrix(name + ".weight", rows, columns);
    bias(name + ".bias", rows);
  }

  // Old files keep a copy of what everybody computes.
  static bool is_idle(std::string_view name) {
    return name.ends_with(".attn_rot_embd") || name.ends_with(".attn_rot_embd.weight") ||
           name.ends_with(".rotary_emb.inv_freq");
  }

  void refuse_other_tensors() const {
    for (const auto& [name, tensor] : tensors_.by_name)
      if (!used_.contains(name) && !is_idle(name))
        fail(tensor, "has no meaning in a model of " + spec_.architecture);
  }

  const LlamaTensors& tensors_;
  const ModelSpec& spec_;
  std::string prefix_;
  ModelBuilder& builder_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace

void add_llama_weights(const LlamaTensors& tensors, ModelBuilder& builder) {
  Importer(tensors, builder.spec(), "", builder).run();
}

void add_llama_weights(const LlamaTensors& tensors, const ModelSpec& spec,
                       const std::string& prefix, ModelBuilder& builder) {
  Importer(tensors, spec, prefix, builder).run();
}

std::vector<float> llama_vector(const LlamaTensors& tensors, const std::string& name,
                                int64_t columns) {
  const auto it = tensors.by_name.find(name);
  if (it == tensors.by_name.end()) return {};
  return vector_values(it->second, weight_of(tensors, it->second, 1, columns));
}

}  // namespace perdure
