// SPDX-License-Identifier: Apache-2.0

// A header, then the tensors of the layout one after the other, in pieces; of quantised ones only
// the scales, which stand behind the values, are kept.
#include "core/model/formats/llama2c_writer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <set>

#include "core/api/error.hpp"
#include "core/base/mapped_file.hpp"
#include "core/model/conversion/llama_family.hpp"
#include "core/model/conversion/tensor_stream.hpp"
#include "core/model/formats/llama2c.hpp"
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

// What can hold a model that these files cannot: llama2Rnn's own alone have all of its memories and
// options, GGUF and folders what other llamas have.
const char* other_format(const Model& model) {
  const bool is_llama2rnn = model.spec().info.mem_len > 0 || !model.spec().llama2rnn_args.empty();
  return is_llama2rnn ? "a .safetensors file" : "a GGUF file or a Hugging Face folder";
}

// What the file could not say must not be lost in silence.
void check_representable(const Model& model, const Llama2cHeader& header, const std::string& path) {
  const auto refuse = [&](const std::string& what) {
    throw Error(path + ": this kind of file cannot hold " + what + " of the model; write " +
                other_format(model) + " instead");
  };
  std::set<std::string> places;
  for (const Llama2cTensor& tensor : llama2c_layout(header)) places.insert(tensor.name);
  for (const auto& [name, weight] : model.weights())
    if (places.count(name) == 0) refuse("the weight " + name);
  const ModelInfo& info = model.spec().info;
  if (info.rope_theta != 10000.0) refuse("the rope_theta");
  if (static_cast<float>(info.rms_norm_eps) != 1e-5f) refuse("the rms_norm_eps");
  if (info.query_columns() != info.hidden_size || info.size_of_values() != info.head_size)
    refuse("the head_dim");
  if (info.rotated_size() != info.head_size) refuse("the rotary_dim");
  if (info.score_scale != 0 || info.score_soft_cap != 0) refuse("the scores");
  if (info.bos_id != 1 || info.eos_ids != std::vector<int32_t>{2})
    refuse("other tokens around a text than 1 and 2");
  for (const auto& [name, option] : model.spec().strategy_options) refuse("the " + name);
  if (header.kind == Llama2cKind::kV2Mem &&
      (header.mem_len < 1 || header.seq_len < 2 * header.mem_len))
    refuse("a mem_len of " + std::to_string(header.mem_len) + " with the seq_len " +
           std::to_string(header.seq_len));
}

class Writer {
 public:
  Writer(const Model& model, const Llama2cHeader& header, const std::string& path, FileRules rules,
         const std::function<bool(int64_t)>& keep_going)
      : model_(model), header_(header), file_(path, rules), keep_going_(keep_going) {}

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
    write(std::span(bytes).first(v0 ? kLlama2cV0HeaderBytes : kLlama2cHeaderBytes));
  }

  // False: stopped.
  bool write_tensor(const Llama2cTensor& tensor) {
    if (tensor.name.empty()) {
      write_tables();
      return true;
    }
    std::vector<float> scales;
    const int64_t rows = std::max<int64_t>(1, kPieceValues / tensor.columns);
    for (int64_t first = 0; first < tensor.rows; first += rows)
      if (!write_rows(tensor, first, std::min(rows, tensor.rows - first), scales)) return false;
    write(std::span(scales));
    return true;
  }

  // Reads the file back, then puts it in its place.
  void close() {
    file_.verify();
    const MappedFile written(file_.unfinished_path());
    read_llama2c(written.bytes(), file_.path());
    file_.commit();
  }

 private:
  static constexpr int64_t kPieceValues = int64_t{1} << 20;

  template <class T, size_t kExtent>
  void write(std::span<T, kExtent> values) {
    file_.write(std::as_bytes(values));
  }

  // Cosines, then sines of every position, as old readers of v0 expect them.
  void write_tables() {
    const std::vector<float> frequencies = rope_frequencies(header_.head_size(), 10000.0);
    std::vector<float> cosines, sines;
    for (int64_t position = 0; position < header_.seq_len; ++position)
      for (const float frequency : frequencies) {
        const float angle = static_cast<float>(position) * frequency;
        cosines.push_back(std::cos(angle));
        sines.push_back(std::sin(angle));
      }
    write(std::span(cosines));
    write(std::span(sines));
  }

  // Values of a quantised tensor go to the file, their scales to `scales`.
  bool write_rows(const Llama2cTensor& tensor, int64_t first, int64_t n,
                  std::vector<float>& scales) {
    std::vector<float> values(static_cast<size_t>(n * tensor.columns));
    const Weight* weight = model_.find(tensor.name);
    const RowOrder order =
        row_order(model_.spec().info, tensor.name, RotationOrder::kAdjacentPairs);
    for (int64_t i = 0; weight != nullptr && i < n; ++i)
      weight_row(*weight, order.source(first + i),
                 std::span(values).subspan(static_cast<size_t>(i * tensor.columns),
                                           static_cast<size_t>(tensor.columns)));
    if (tensor.quantised) {
      const Q80Values q = quantize_q80(values, header_.group_size);
      write(std::span(q.values));
      scales.insert(scales.end(), q.scales.begin(), q.scales.end());
    } else {
      write(std::span(values));
    }
    return !keep_going_ || weight == nullptr ||
           keep_going_(n * perdure_row_bytes(weight->dtype, weight->columns));
  }

  const Model& model_;
  const Llama2cHeader& header_;
  NewFile file_;
  const std::function<bool(int64_t)>& keep_going_;
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

bool write_llama2c(const Model& model, Llama2cKind kind, int64_t group_size,
                   const std::string& path, FileRules rules,
                   const std::function<bool(int64_t bytes)>& keep_going) {
  require_llama_family(model);
  const Llama2cHeader header = header_of(model, kind, group_size);
  check_representable(model, header, path);
  check_weights(model, header, path);
  Writer writer(model, header, path, rules, keep_going);
  writer.write_header();
  for (const Llama2cTensor& tensor : llama2c_layout(header))
    if (!writer.write_tensor(tensor)) return false;
  writer.close();
  return true;
}

}  // namespace perdure
