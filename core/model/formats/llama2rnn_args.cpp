// SPDX-License-Identifier: Apache-2.0

// Names and defaults are those of llama2Rnn's ModelArgs.
#include "core/model/formats/llama2rnn_args.hpp"

#include <charconv>
#include <cmath>

#include "core/api/error.hpp"
#include "core/base/json/json_walk.hpp"
#include "core/base/shown_name.hpp"
#include "core/model/architectures/architecture.hpp"

namespace perdure {
namespace {

constexpr int64_t kMostLayers = Metadata::kMostLayers;
// A larger size is a mistake, and would cost memory before it is noticed.
constexpr int64_t kLargestSize = int64_t{1} << 31;

}  // namespace

Llama2RnnArgs::Llama2RnnArgs(std::string_view json, const std::string& path) : path_(path) {
  bool has_args = false;
  walk_json(
      json, path, 0,
      [&](const std::vector<std::string>& keys, JsonKind kind, std::string_view text) {
        if (keys.empty() || keys[0] != "args") return;
        if (keys.size() == 1 && kind == JsonKind::kObject) {
          has_args = true;
        } else if (keys.size() != 2 || kind == JsonKind::kObject || kind == JsonKind::kArray) {
          throw Error(path + ": the key '" + json_key(keys) +
                      "' does not fit: 'args' is an object of plain values");
        } else if (kind != JsonKind::kNull) {
          values_.emplace(keys[1], text);
        }
      });
  if (!has_args) throw Error(path + ": the key 'args' with the model's options is missing");
}

void Llama2RnnArgs::fail(const std::string& name, const std::string& what) const {
  throw Error(path_ + ": the key 'args." + name + "' " + what);
}

std::string Llama2RnnArgs::text(const std::string& name, const std::string& otherwise) const {
  const auto it = values_.find(name);
  return it == values_.end() ? otherwise : it->second;
}

int64_t Llama2RnnArgs::size(const std::string& name, int64_t otherwise) const {
  const auto it = values_.find(name);
  if (it == values_.end()) {
    if (otherwise == 0) fail(name, "is missing");
    return otherwise;
  }
  const std::string& t = it->second;
  int64_t value = 0;
  const auto [end, status] = std::from_chars(t.data(), t.data() + t.size(), value);
  if (status != std::errc() || end != t.data() + t.size() || value < 1 || value >= kLargestSize)
    fail(name, "is " + shown_name(t) + " but must be an integer from 1 to 2147483647");
  return value;
}

double Llama2RnnArgs::positive_real(const std::string& name, double otherwise) const {
  const auto it = values_.find(name);
  if (it == values_.end()) return otherwise;
  const std::string& t = it->second;
  double value = 0;
  const auto [end, status] = std::from_chars(t.data(), t.data() + t.size(), value);
  if (status != std::errc() || end != t.data() + t.size() || !std::isfinite(value) || value <= 0)
    fail(name, "is " + shown_name(t) + " but must be a number above 0");
  return value;
}

bool Llama2RnnArgs::flag(const std::string& name) const {
  const std::string value = text(name, "false");
  if (value == "true" || value == "1") return true;
  if (value != "false" && value != "0")
    fail(name, "is " + shown_name(value) + " but must be true or false");
  return false;
}

bool Llama2RnnArgs::memory_attention(int64_t layer) const {
  if (text("attention_type", "attention") != "memory_attention") return false;
  const std::string method = text("extend_method", "");
  // The original looks for the text, so that memlayer1 also means layer 10.
  return method.find("memlayer") == std::string::npos ||
         method.find("memlayer" + std::to_string(layer)) != std::string::npos;
}

int64_t Llama2RnnArgs::hidden_size_of(int64_t dim) const {
  const int64_t multiple = size("multiple_of", 256);
  return size("hidden_dim", (8 * dim / 3 + multiple - 1) / multiple * multiple);
}

void Llama2RnnArgs::check_sizes() const {
  const int64_t dim = size("dim"), heads = size("n_heads");
  if (size("n_layers") > kMostLayers)
    fail("n_layers", "is more than " + std::to_string(kMostLayers));
  if (dim % heads != 0) fail("n_heads", "does not divide dim");
  if (dim / heads % 2 != 0) fail("n_heads", "makes the head size dim / n_heads odd");
  if (heads % size("n_kv_heads", heads) != 0) fail("n_kv_heads", "does not divide n_heads");
  const std::string type = text("attention_type", "attention");
  if (type != "attention" && type != "memory_attention" && type != "LSTM")
    fail("attention_type",
         "is '" + shown_name(type) + "'; known are attention, memory_attention and LSTM");
}

ModelSpec Llama2RnnArgs::spec() const {
  check_sizes();
  Metadata m(path_);
  m.set("hidden_size", size("dim"));
  m.set("intermediate_size", hidden_size_of(size("dim")));
  m.set("num_hidden_layers", size("n_layers"));
  m.set("num_attention_heads", size("n_heads"));
  m.set("num_key_value_heads", size("n_kv_heads", size("n_heads")));
  m.set("vocab_size", size("vocab_size"));
  m.set("max_position_embeddings", size("max_seq_len", 2048));
  m.set("rope_theta", positive_real("theta", 10000.0));
  m.set("rms_norm_eps", positive_real("norm_eps", 1e-5));
  if (text("attention_type", "attention") != "attention")
    m.set("memory_length", size("memseqlen", 128));
  ModelSpec spec = read_spec("llama", m, "safetensors");
  if (text("key_norm", "false") == "true" || text("key_norm", "false") == "1")
    spec.strategy_options["key_norm"] = {"true"};
  spec.llama2rnn_args = values_;
  return spec;
}

}  // namespace perdure
