// SPDX-License-Identifier: Apache-2.0

// What a strategy may know of the model: sizes, how it attends and rotates, its special tokens, and
// by name whatever only some architectures have. Readers of files fill it, strategies read it.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/error.hpp"

namespace perdure {

// Which values of a head turn together. The weights of a model are made for one of the two.
enum class RotationOrder {
  kAdjacentPairs,  // 0 and 1, 2 and 3, ...: llama2.c and GGUF's llama
  kHalves          // 0 and n/2, 1 and n/2 + 1, ...: Hugging Face's llama and qwen
};

// Names are Hugging Face's where it has one. A value of 0 that "stands for" another is resolved by
// the function of nearly the same name; use that.
struct ModelInfo {
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_size = 0;     // of queries and keys; need not be hidden_size / num_attention_heads
  int64_t vocab_size = 0;    // token ids are below it
  int64_t train_length = 0;  // tokens the model was trained at (max_position_embeddings)
  int64_t mem_len = 0;       // rows of the trained initial memory; 0 = the model has no memory
  double rope_theta = 10000.0;
  double rms_norm_eps = 1e-5;

  std::string architecture = "llama";  // the name of its entry in core/model/architectures

  int64_t value_head_size = 0;  // 0 stands for head_size
  double score_scale = 0.0;     // factor of q.k; 0 stands for 1 / sqrt(head_size)
  double score_soft_cap = 0.0;  // c: scores become c * tanh(score / c); 0 = none
  int64_t rotary_size = 0;      // first values of a head that rotate; 0 stands for head_size
  RotationOrder rotation_order = RotationOrder::kAdjacentPairs;
  int64_t padded_vocab_size = 0;  // rows of embedding and classifier; 0 stands for vocab_size

  int32_t bos_id = 1;                  // -1 = none
  std::vector<int32_t> eos_ids = {2};  // any of them ends a text

  // What only some architectures have ("encoder.num_hidden_layers", "group_norm_eps"). All of it
  // changes the numbers.
  std::map<std::string, int64_t, std::less<>> sizes = {};
  std::map<std::string, double, std::less<>> reals = {};

  int64_t size_of_values() const { return value_head_size != 0 ? value_head_size : head_size; }
  double scale_of_scores() const {
    return score_scale != 0.0 ? score_scale : 1.0 / std::sqrt(static_cast<double>(head_size));
  }
  int64_t rotated_size() const { return rotary_size != 0 ? rotary_size : head_size; }
  int64_t classifier_rows() const {
    return padded_vocab_size != 0 ? padded_vocab_size : vocab_size;
  }
  int64_t query_columns() const { return num_attention_heads * head_size; }
  int64_t key_columns() const { return num_key_value_heads * head_size; }
  int64_t value_columns() const { return num_key_value_heads * size_of_values(); }

  // Errors: Error that names what the model's architecture does not say.
  int64_t size(std::string_view name) const { return named(sizes, name); }
  double real(std::string_view name) const { return named(reals, name); }
  // The same, or `otherwise` where it is not said.
  int64_t size(std::string_view name, int64_t otherwise) const {
    const auto it = sizes.find(name);
    return it == sizes.end() ? otherwise : it->second;
  }
  double real(std::string_view name, double otherwise) const {
    const auto it = reals.find(name);
    return it == reals.end() ? otherwise : it->second;
  }

 private:
  template <class Number>
  Number named(const std::map<std::string, Number, std::less<>>& numbers,
               std::string_view name) const {
    const auto it = numbers.find(name);
    if (it == numbers.end())
      throw Error("a model of the architecture '" + architecture + "' does not say '" +
                  std::string(name) + "'");
    return it->second;
  }
};

}  // namespace perdure
