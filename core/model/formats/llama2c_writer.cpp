// SPDX-License-Identifier: Apache-2.0

// A header, then the tensors of the layout one after the other; never more than one of them in
// memory.
#include "core/model/formats/llama2c_writer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>

#include "core/api/error.hpp"
#include "core/model/formats/weight_values.hpp"
#include "sdk/rope.hpp"

namespace perdure {
namespace {

Llama2cHeader header_of(const Model& model, Llama2cKind kind, int64_t group_size) {
  const ModelInfo& info = model.spec().info;
  Llama2cHeader h{.kind = kind,
                  .dim = info.hidden_size,
                  .hidden_dim = model.spec().intermediate_size,
                  .n_layers = info.num_hidden_layers,
                  .n_heads = info.num_attention_heads,
                  .n_kv_heads = info.num_key_value_heads,
                  .vocab_size = info.vocab_size,
                  .seq_len = info.train_length,
                  .shared = model.find("output.weight") == nullptr};
  if (kind == Llama2cKind::kV2Mem) h.mem_len = info.mem_len;
  if (h.quantised()) {
    if (group_size < 1)
      throw Error("a group size of " + std::to_string(group_size) + " cannot be written");
    while (h.dim % group_size != 0 || h.hidden_dim % group_size != 0) group_size /= 2;
    h.group_size = group_size;
  }
  return h;
}

// The file needs every weight of its layout; only an untrained initial memory may be left to be
// zero.
void check_weights(const Model& model, const Llama2cHeader& header, const std::string& path) {
  for (const Llama2cTensor& t : llama2c_layout(header)) {
    const Weight* weight = model.find(t.name);
    if (t.name.empty() || (weight == nullptr && t.name.ends_with("mem_init"))) continue;
    if (weight == nullptr || weight->rows != t.rows || weight->columns != t.columns)
      throw Error(path + ": the model has no weight " + t.name + " [" + std::to_string(t.rows) +
                  ", " + std::to_string(t.columns) + "], which this kind of file needs");
  }
}

// What the file could not say must not be lost in silence.
void check_representable(const Model& model, const Llama2cHeader& header, const std::string& path) {
  const auto refuse = [&](const std::string& what) {
    throw Error(path + ": this kind of file cannot hold " + what +
                " of the model; write safetensors instead");
  };
  std::set<std::string> places;
  for (const Llama2cTensor& tensor : llama2c_layout(header)) places.insert(tensor.name);
  for (const auto& [name, weight] : model.weights())
    if (places.count(name) == 0) refuse("the weight " + name);
  const ModelInfo& info = model.spec().info;
  if (info.rope_theta != 10000.0) refuse("the rope_theta");
  if (info.rms_norm_eps != 1e-5) refuse("the rms_norm_eps");
  const auto key_norm = model.spec().llama2rnn_args.find("key_norm");
  if (key_norm != model.spec().llama2rnn_args.end() && key_norm->second != "false" &&
      key_norm->second != "0")
    refuse("the key_norm");
  if (header.kind == Llama2cKind::kV2Mem &&
      (header.mem_len < 1 || header.seq_len < 2 * header.mem_len))
    refuse("a mem_len of " + std::to_string(header.mem_len) + " with the seq_len " +
           std::to_string(header.seq_len));
}

class Writer {
 public:
  Writer(const Llama2cHeader& header, const std::string& path)
      : header_(header), path_(path), file_(path, std::ios::binary | std::ios::trunc) {
    check();
  }

  void write_header() {
    const Llama2cHeader& h = header_;
    const int64_t vocab = h.kind == Llama2cKind::kV0 && !h.shared ? -h.vocab_size : h.vocab_size;
    std::array<char, kLlama2cHeaderBytes> bytes{};
    size_t at = 0;
    const auto put = [&](int64_t value) {
      const auto narrow = static_cast<int32_t>(value);
      std::memcpy(bytes.data() + at, &narrow, sizeof narrow);
      at += sizeof narrow;
    };
    const bool v0 = h.kind == Llama2cKind::kV0;
    if (!v0) {
      put(kLlama2cMagic);
      put(h.kind == Llama2cKind::kV1 ? 1 : 2);
    }
    for (const int64_t n :
         {h.dim, h.hidden_dim, h.n_layers, h.n_heads, h.n_kv_heads, vocab, h.seq_len})
      put(n);
    if (h.kind == Llama2cKind::kV2Mem) put(h.mem_len);
    bytes[at] = !v0 && h.shared ? 1 : 0;
    at += v0 ? 0 : 1;
    if (h.quantised()) put(h.group_size);
    write(bytes.data(), v0 ? kLlama2cV0HeaderBytes : kLlama2cHeaderBytes);
  }

  void write_tensor(const Model& model, const Llama2cTensor& tensor) {
    const std::vector<float> values = values_of(model, tensor);
    if (!tensor.quantised)
      return write(values.data(), static_cast<int64_t>(values.size() * sizeof(float)));
    const Q80Values q = quantize_q80(values, header_.group_size);
    write(q.values.data(), static_cast<int64_t>(q.values.size()));
    write(q.scales.data(), static_cast<int64_t>(q.scales.size() * sizeof(float)));
  }

  void close() {
    file_.close();
    check();
  }

 private:
  void check() const {
    if (!file_) throw Error(path_ + ": cannot be written: " + std::strerror(errno));
  }

  void write(const void* data, int64_t size_bytes) {
    file_.write(static_cast<const char*>(data), size_bytes);
    check();
  }

  // Cosines, then sines of every position, as old readers of v0 expect them.
  std::vector<float> rotation_tables() const {
    const std::vector<float> frequencies = rope_frequencies(header_.head_size(), 10000.0);
    std::vector<float> cosines, sines;
    for (int64_t position = 0; position < header_.seq_len; ++position)
      for (const float frequency : frequencies) {
        const float angle = static_cast<float>(position) * frequency;
        cosines.push_back(std::cos(angle));
        sines.push_back(std::sin(angle));
      }
    cosines.insert(cosines.end(), sines.begin(), sines.end());
    return cosines;
  }

  std::vector<float> values_of(const Model& model, const Llama2cTensor& tensor) const {
    if (tensor.name.empty()) return rotation_tables();
    const Weight* weight = model.find(tensor.name);
    if (weight == nullptr)
      return std::vector<float>(static_cast<size_t>(tensor.rows * tensor.columns));
    return weight_values(*weight);
  }

  const Llama2cHeader& header_;
  const std::string& path_;
  std::ofstream file_;
};

// The bounds matter for scales that are subnormal or infinite; NaN becomes 0.
int8_t quantised(float weight, float scale) {
  const float rounded = std::nearbyint(weight / scale);
  return scale > 0.0f && !std::isnan(rounded)
             ? static_cast<int8_t>(std::clamp(rounded, -127.0f, 127.0f))
             : int8_t{0};
}

}  // namespace

Q80Values quantize_q80(std::span<const float> weights, int64_t group_size) {
  Q80Values q;
  q.values.reserve(weights.size());
  for (size_t begin = 0; begin < weights.size(); begin += static_cast<size_t>(group_size)) {
    const std::span<const float> group = weights.subspan(begin, static_cast<size_t>(group_size));
    float largest = 0.0f;
    for (const float w : group) largest = std::max(largest, std::fabs(w));
    const float scale = largest / 127.0f;
    for (const float w : group) q.values.push_back(quantised(w, scale));
    q.scales.push_back(scale);
  }
  return q;
}

void write_llama2c(const Model& model, Llama2cKind kind, int64_t group_size,
                   const std::string& path) {
  const Llama2cHeader header = header_of(model, kind, group_size);
  check_representable(model, header, path);
  check_weights(model, header, path);
  Writer writer(header, path);
  writer.write_header();
  for (const Llama2cTensor& tensor : llama2c_layout(header)) writer.write_tensor(model, tensor);
  writer.close();
}

}  // namespace perdure
