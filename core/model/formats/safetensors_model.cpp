// SPDX-License-Identifier: Apache-2.0

// From torch's names to the names of model.hpp, layer by layer, every shape checked against the
// options.
#include "core/model/formats/safetensors_model.hpp"

#include "core/api/error.hpp"
#include "core/base/checked.hpp"
#include "core/base/shape_text.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/format.hpp"
#include "core/model/formats/llama2rnn_args.hpp"
#include "core/model/formats/microrwkv_safetensors.hpp"
#include "core/model/formats/rmt_network.hpp"
#include "core/model/formats/rmt_safetensors.hpp"
#include "core/model/formats/rwkv_safetensors.hpp"
#include "core/model/formats/safetensors.hpp"
#include "core/model/formats/small_text.hpp"
#include "core/model/formats/weight_values.hpp"

namespace perdure {
namespace {

constexpr std::string_view kExtension = ".safetensors";
// Zeros that options alone may ask for: 32 MiB, so that a hostile file costs no more than it
// weighs.
constexpr int64_t kMostZeroValues = int64_t{8} << 20;

// Takes weights out of a file for a model.
class Importer {
 public:
  Importer(const SafetensorsMap& tensors, const Llama2RnnArgs& args, const std::string& path)
      : tensors_(tensors), args_(args), path_(path) {}

  Model run() {
    builder_.spec() = args_.spec();
    const ModelInfo& info = builder_.spec().info;
    const int64_t d = info.hidden_size;
    matrix("tok_embeddings.weight", "token_embd.weight", info.vocab_size, d);
    norm("norm.weight", "output_norm.weight");
    if (has("output.weight")) matrix("output.weight", "output.weight", info.vocab_size, d);
    for (int64_t layer = 0; layer < info.num_hidden_layers; ++layer) import_layer(layer);
    return builder_.take();
  }

 private:
  bool has(const std::string& name) const { return tensors_.find(name) != tensors_.end(); }

  // The tensor if its shape is [rows, columns], with or without leading ones.
  const SafetensorsTensor& get(const std::string& name, int64_t rows, int64_t columns) const {
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) throw Error(path_ + ": the tensor '" + name + "' is missing");
    std::vector<int64_t> shape = it->second.shape;
    while (shape.size() > 2 && shape.front() == 1) shape.erase(shape.begin());
    if (shape.size() == 1) shape.insert(shape.begin(), 1);
    if (shape != std::vector{rows, columns})
      throw Error(path_ + ": the tensor '" + name + "' has the shape " +
                  shape_text(it->second.shape) + " but " + shape_text({rows, columns}) +
                  " is needed");
    return it->second;
  }

  Weight weight(const std::string& name, int64_t rows, int64_t columns) const {
    const SafetensorsTensor& tensor = get(name, rows, columns);
    return {.dtype = weight_dtype(name, tensor, path_),
            .rows = rows,
            .columns = columns,
            .data = tensor.bytes.data()};
  }

  void matrix(const std::string& name, const std::string& as, int64_t rows, int64_t columns) {
    builder_.add(as, weight(name, rows, columns));
  }

  // Norm weights are F32 in every model; small enough to be copied.
  void norm(const std::string& name, const std::string& as) {
    const int64_t d = builder_.spec().info.hidden_size;
    const Weight norm = weight(name, 1, d);
    if (norm.dtype == PERDURE_F32) return builder_.add(as, norm);
    builder_.add_owned(as, 1, d, weight_values(norm));
  }

  // Becomes the initial value of a state, which is F32.
  void initial(const std::string& name, const std::string& as, int64_t rows, int64_t columns) {
    if (weight(name, rows, columns).dtype != PERDURE_F32)
      throw Error(path_ + ": the tensor '" + name + "' is an initial state and must be F32");
    matrix(name, as, rows, columns);
  }

  // An untrained initial memory is zero and need not be stored.
  void zero_initial(const std::string& as, int64_t rows, int64_t columns) {
    const int64_t size = checked_mul(rows, columns, "memseqlen");
    zero_values_ = checked_add(zero_values_, size, "memseqlen");
    if (zero_values_ > kMostZeroValues)
      throw Error(safetensors_options_path(path_) + ": a memseqlen of " + std::to_string(rows) +
                  " needs an origin_mem of that size in the file");
    builder_.add_owned(as, rows, columns, std::vector<float>(static_cast<size_t>(size), 0.0f));
  }

  void feed_forward(const std::string& from, const std::string& to) {
    const int64_t d = builder_.spec().info.hidden_size, h = builder_.spec().intermediate_size;
    matrix(from + "w1.weight", to + "gate.weight", h, d);
    matrix(from + "w2.weight", to + "down.weight", d, h);
    matrix(from + "w3.weight", to + "up.weight", h, d);
  }

  void import_layer(int64_t layer) {
    const std::string from = "layers." + std::to_string(layer) + ".",
                      to = "blk." + std::to_string(layer) + ".";
    const int64_t d = builder_.spec().info.hidden_size;
    norm(from + "attention_norm.weight", to + "attn_norm.weight");
    norm(from + "ffn_norm.weight", to + "ffn_norm.weight");
    feed_forward(from + "feed_forward.", to + "ffn_");
    matrix(from + "attention.wo.weight", to + "attn_output.weight", d, d);
    if (args_.lstm()) return import_lstm(from + "attention.", to);
    import_attention(from + "attention.", to);
    if (args_.memory_attention(layer)) import_memory(from + "attention.", to);
  }

  void import_attention(const std::string& from, const std::string& to) {
    const ModelInfo& info = builder_.spec().info;
    const int64_t d = info.hidden_size, kv = info.num_key_value_heads * info.head_size;
    const int64_t width = d + (has_places(from + "wq.weight") ? info.head_size : 0);
    matrix(from + "wq.weight", to + "attn_q.weight", d, width);
    matrix(from + "wk.weight", to + "attn_k.weight", kv, width);
    matrix(from + "wv.weight", to + "attn_v.weight", kv, width);
  }

  // ConcatPE: the projections take cosines and sines of a place beside their input.
  bool has_places(const std::string& name) {
    const ModelInfo& info = builder_.spec().info;
    const auto it = tensors_.find(name);
    return it != tensors_.end() && it->second.shape.size() == 2 &&
           it->second.shape[1] == info.hidden_size + info.head_size;
  }

  void import_memory(const std::string& from, const std::string& to) {
    const ModelInfo& info = builder_.spec().info;
    const int64_t d = info.hidden_size, kv = info.num_key_value_heads * info.head_size;
    if (args_.flag("train_orimem") || has(from + "origin_mem"))
      initial(from + "origin_mem", to + "mem_init", info.mem_len, d);
    else
      zero_initial(to + "mem_init", info.mem_len, d);
    if (args_.flag("do_wm")) matrix(from + "wm.weight", to + "mem_wm.weight", d, d);
    if (args_.flag("do_memory_ffn")) {
      norm(from + "ffn_norm.weight", to + "mem_ffn_norm.weight");
      feed_forward(from + "feed_forward.", to + "mem_ffn_");
    }
    if (args_.flag("memory_norm")) norm(from + "memory_norm.weight", to + "mem_norm.weight");
    if (!args_.flag("reuse_kv")) {
      matrix(from + "wkm.weight", to + "mem_k.weight", kv, d);
      matrix(from + "wvm.weight", to + "mem_v.weight", kv, d);
    }
  }

  void import_lstm(const std::string& from, const std::string& to) {
    const int64_t d = builder_.spec().info.hidden_size, m = builder_.spec().info.mem_len;
    initial(from + "h", to + "lstm_h", m, d);
    initial(from + "c", to + "lstm_c", m, d);
    initial(from + "reduce", to + "lstm_reduce", m, m);
    for (const std::string gate : {"ii", "hi", "if", "hf", "ig", "hg", "io", "ho"})
      matrix(from + "w" + gate + ".weight", to + "lstm_" + gate + ".weight", d, d);
  }

  const SafetensorsMap& tensors_;
  const Llama2RnnArgs& args_;
  const std::string& path_;
  ModelBuilder builder_;
  int64_t zero_values_ = 0;  // made up for initial memories that the file leaves out
};

Model read_with_options(const SafetensorsMap& tensors, std::string_view options,
                        const std::string& path) {
  const Llama2RnnArgs args(options, safetensors_options_path(path));
  return Importer(tensors, args, path).run();
}

}  // namespace

std::string safetensors_options_path(const std::string& path) {
  return (path.ends_with(kExtension) ? path.substr(0, path.size() - kExtension.size()) : path) +
         ".json";
}

Model read_safetensors_model(std::span<const std::byte> bytes, std::string_view options,
                             const std::string& path) {
  return read_with_options(read_safetensors(bytes, path), options, path);
}

namespace {

Model read_llama2rnn(const SafetensorsMap& tensors, const std::string& path) {
  return read_with_options(tensors, read_small_text(safetensors_options_path(path)), path);
}

bool is_hugging_face(const SafetensorsMap& tensors) {
  return has_prefix(tensors, "model.layers.") || has_prefix(tensors, "model.embed_");
}

// Whoever the tensors' names belong to reads them.
Model read_safetensors_file(ModelSource source) {
  SafetensorsMetadata metadata;
  const SafetensorsMap tensors = read_safetensors(source.bytes(), source.path, &metadata);
  if (is_hugging_face(tensors))
    throw Error(source.path +
                ": this is a file of a Hugging Face folder; name the folder, with its config.json, "
                "as the model");
  Model model = is_rwkv(tensors)          ? read_rwkv_safetensors(tensors, metadata, source.path)
                : is_microrwkv(tensors)   ? read_microrwkv_safetensors(tensors, source.path)
                : is_rmt(tensors)         ? read_rmt_safetensors(tensors, source.path)
                : is_rmt_network(tensors) ? read_rmt_network(tensors, source.path)
                                          : read_llama2rnn(tensors, source.path);
  ModelBuilder::keep(model, std::move(*source.file));
  return model;
}

}  // namespace

ModelFormat safetensors_format() {
  return {.recognises =
              [](const ModelSource& source) {
                return !source.is_folder() && source.path.ends_with(kExtension);
              },
          .read = read_safetensors_file};
}

}  // namespace perdure
