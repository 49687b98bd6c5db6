// SPDX-License-Identifier: Apache-2.0

// One table of a llama's tensors with both of their names; every shape is checked against the JSON,
// and a tensor that the table does not have is refused, because it would change the numbers.
#include "core/model/formats/rmt_safetensors.hpp"

#include <filesystem>
#include <set>

#include "core/api/error.hpp"
#include "core/base/json/json.hpp"
#include "core/base/shape_text.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/format.hpp"
#include "core/model/formats/huggingface_folder.hpp"
#include "core/model/formats/llama2rnn_args.hpp"
#include "core/model/formats/llama_config.hpp"
#include "core/model/formats/safetensors_model.hpp"
#include "core/model/formats/weight_values.hpp"

namespace perdure {
namespace {

constexpr std::string_view kMemory = "memory_cell.memory";
constexpr std::string_view kModelPrefix = "memory_cell.model.";
constexpr std::string_view kHuggingFacePrefix = "memory_cell.model.model.";
// As of the strategy's own options: no sum of sizes of a segment wraps.
constexpr int64_t kMostTokens = 1 << 24;
// Parsing a JSON tree may use a hundred times as much memory.
constexpr size_t kMostJsonBytes = size_t{64} << 10;

bool any_begins(const SafetensorsMap& tensors, std::string_view prefix) {
  const auto it = tensors.lower_bound(prefix);
  return it != tensors.end() && it->first.starts_with(prefix);
}

bool is_hugging_face(const SafetensorsMap& tensors) {
  return any_begins(tensors, kHuggingFacePrefix);
}

bool is_memory_alone(const SafetensorsMap& tensors) {
  return is_rmt(tensors) && !any_begins(tensors, kModelPrefix);
}

std::string read_text(const std::string& path) {
  const MappedFile file(path);
  if (file.bytes().size() > kMostJsonBytes)
    throw Error(path + ": byte offset " + std::to_string(kMostJsonBytes) +
                ": a model's options take less than 64 KiB");
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

bool says(const Json& config, std::string_view key) {
  const Json* value = config.find(key);
  return value != nullptr && !std::holds_alternative<std::nullptr_t>(value->content());
}

// Errors: Error if the model is no plain llama.
ModelSpec hugging_face_spec(const HuggingFaceConfig& config) {
  const std::string type = config.text("model_type", "llama");
  if (type != "llama")
    config.fail("model_type", "is '" + type + "'; only a llama with memory is read");
  ModelSpec spec = llama_spec(config, "LlamaForCausalLM");
  if (config.find("rope_scaling") != nullptr || spec.strategy_options.contains("rope_scaling"))
    config.fail("rope_scaling", "is set; a llama with memory is read without one");
  spec.format = "safetensors";
  return spec;
}

// `rmt`: what the options of that name are; nullptr if there are none.
int64_t segment_size(const Json* rmt, const std::string& path) {
  const bool is_map = rmt != nullptr && std::holds_alternative<Json::Map>(rmt->content());
  const Json* size = is_map ? rmt->find("segment_size") : nullptr;
  if (size == nullptr) throw Error(path + ": the key 'rmt.segment_size' is missing");
  const int64_t* number = std::get_if<int64_t>(&size->content());
  if (number == nullptr || *number < 1 || *number > kMostTokens)
    throw Error(path + ": the key 'rmt.segment_size' must be a whole number from 1 to " +
                std::to_string(kMostTokens));
  return *number;
}

// Errors: Error if it is not [M, d].
Weight memory_of(const SafetensorsMap& tensors, int64_t d, const std::string& path) {
  const std::string name(kMemory);
  const SafetensorsTensor& tensor = tensors.at(name);
  const std::vector<int64_t>& shape = tensor.shape;
  if (shape.size() != 2 || shape[0] < 1 || shape[0] > kMostTokens || shape[1] != d)
    throw Error(path + ": the tensor '" + name + "' has the shape " + shape_text(shape) +
                " but must have 1 to " + std::to_string(kMostTokens) + " rows of " +
                std::to_string(d) + " values");
  return {.dtype = weight_dtype(name, tensor, path),
          .rows = shape[0],
          .columns = d,
          .data = tensor.bytes.data()};
}

// The llama that a memory goes with. Errors: Error if it has one of its own.
Model llama_of_memory(const Json& options, const std::string& path) {
  const Json* rmt = options.find("rmt");
  if (rmt == nullptr || !says(*rmt, "model"))
    throw Error(path +
                ": the key 'rmt.model' with the path of the llama that this memory goes "
                "with is missing");
  const std::string llama =
      (std::filesystem::path(path).parent_path() / rmt->at("model").text()).string();
  // Looked at first: a file that names itself would be read for ever.
  if (llama.ends_with(".safetensors") && is_rmt(SafetensorsFile(llama).tensors()))
    throw Error(path + ": the key 'rmt.model' names " + llama + ", which has a memory of its own");
  Model model = read_model(llama);
  if (model.spec().architecture != "llama")
    throw Error(path + ": the key 'rmt.model' names " + llama + ", which is no llama but '" +
                model.spec().architecture + "'");
  return model;
}

// Puts a memory and its sizes into a model.
void add_memory(Model& model, const Weight& memory, int64_t segment) {
  auto& sizes = ModelBuilder::spec_of(model).info.sizes;
  sizes["rmt.num_mem_tokens"] = memory.rows;
  sizes["rmt.segment_size"] = segment;
  model.replace("recurrent_memory", memory.rows, memory.columns, weight_values(memory));
}

Model read_memory_alone(const SafetensorsMap& tensors, const std::string& path) {
  if (tensors.size() > 1)
    throw Error(path +
                ": a memory without its llama is in a file of its own; there is no tensor '" +
                std::string(kModelPrefix) + "...' and others than '" + std::string(kMemory) + "'");
  const std::string json = safetensors_options_path(path);
  const Json options = Json::parse(read_text(json), json);
  Model model = llama_of_memory(options, json);
  add_memory(model, memory_of(tensors, model.spec().info.hidden_size, path),
             segment_size(options.find("rmt"), json));
  return model;
}

// A tensor by the end of its name in either kind of file; the shape is [rows, columns], a vector's
// rows are 1.
struct Named {
  const char* hugging_face;
  const char* llama2c;
  const char* own;
  int64_t rows, columns;
};

class Importer {
 public:
  Importer(const SafetensorsMap& tensors, const std::string& path)
      : tensors_(tensors), path_(path), hugging_face_(is_hugging_face(tensors)) {}

  Model run() {
    read_sizes();
    const int64_t d = info().hidden_size, v = info().vocab_size;
    import("", "", {"model.embed_tokens", "tok_embeddings", "token_embd", v, d});
    import("", "", {"model.norm", "norm", "output_norm", 1, d});
    if (has("memory_cell.model.lm_head.weight") || has("memory_cell.model.output.weight"))
      import("", "", {"lm_head", "output", "output", v, d});
    for (int64_t layer = 0; layer < info().num_hidden_layers; ++layer) import_layer(layer);
    const Weight memory = memory_of(tensors_, d, path_);
    used_.insert(std::string(kMemory));
    refuse_others();
    Model model = builder_.take();
    add_memory(model, memory, segment_);
    return model;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Error(path_ + ": " + what); }

  const ModelInfo& info() { return builder_.spec().info; }
  bool has(const std::string& name) const { return tensors_.find(name) != tensors_.end(); }

  void read_sizes() {
    if (hugging_face_) {
      const HuggingFaceConfig config(std::filesystem::path(path_).parent_path().string());
      builder_.spec() = hugging_face_spec(config);
      segment_ = segment_size(config.find("rmt"), config.path());
    } else {
      const std::string path = safetensors_options_path(path_), text = read_text(path);
      const Json options = Json::parse(text, path);
      builder_.spec() = Llama2RnnArgs(text, path).spec();
      segment_ = segment_size(options.find("rmt"), path);
    }
  }

  Weight weight(const std::string& name, int64_t rows, int64_t columns) {
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) fail("the tensor '" + name + "' is missing");
    const SafetensorsTensor& tensor = it->second;
    std::vector<int64_t> needed{columns};
    if (tensor.shape.size() != 1 || rows != 1) needed.insert(needed.begin(), rows);
    if (tensor.shape != needed)
      fail("the tensor '" + name + "' has the shape " + shape_text(tensor.shape) + " but " +
           shape_text(needed) + " is needed");
    used_.insert(name);
    return {.dtype = weight_dtype(name, tensor, path_),
            .rows = rows,
            .columns = columns,
            .data = tensor.bytes.data()};
  }

  // Vectors are F32 in every model; small enough to be copied.
  void add(const std::string& name, const std::string& own, int64_t rows, int64_t columns) {
    const Weight w = weight(name, rows, columns);
    if (rows > 1) return builder_.add(own, w);
    builder_.add_owned(own, 1, columns, weight_values(w));
  }

  // The weight, and its bias where there is one. `from`, `to`: what stands before the names.
  void import(const std::string& from, const std::string& to, const Named& named) {
    const std::string name =
        "memory_cell.model." + from + (hugging_face_ ? named.hugging_face : named.llama2c);
    add(name + ".weight", to + named.own + ".weight", named.rows, named.columns);
    if (has(name + ".bias")) add(name + ".bias", to + named.own + ".bias", 1, named.rows);
  }

  void import_layer(int64_t layer) {
    const std::string number = std::to_string(layer);
    const std::string from = (hugging_face_ ? "model.layers." : "layers.") + number + ".";
    const int64_t d = info().hidden_size, q = info().query_columns(), kv = info().key_columns(),
                  h = builder_.spec().intermediate_size;
    const Named all[] = {
        {"input_layernorm", "attention_norm", "attn_norm", 1, d},
        {"self_attn.q_proj", "attention.wq", "attn_q", q, d},
        {"self_attn.k_proj", "attention.wk", "attn_k", kv, d},
        {"self_attn.v_proj", "attention.wv", "attn_v", kv, d},
        {"self_attn.o_proj", "attention.wo", "attn_output", d, q},
        {"post_attention_layernorm", "ffn_norm", "ffn_norm", 1, d},
        {"mlp.gate_proj", "feed_forward.w1", "ffn_gate", h, d},
        {"mlp.down_proj", "feed_forward.w2", "ffn_down", d, h},
        {"mlp.up_proj", "feed_forward.w3", "ffn_up", h, d},
    };
    for (const Named& named : all) import(from, "blk." + number + ".", named);
  }

  void refuse_others() const {
    for (const auto& [name, tensor] : tensors_)
      if (!used_.contains(name) && !name.ends_with(".rotary_emb.inv_freq"))
        fail("the tensor '" + name + "' is none of a llama with memory of these sizes");
  }

  const SafetensorsMap& tensors_;
  const std::string& path_;
  bool hugging_face_;
  int64_t segment_ = 0;
  ModelBuilder builder_;
  std::set<std::string> used_;
};

}  // namespace

bool is_rmt(const SafetensorsMap& tensors) { return tensors.find(kMemory) != tensors.end(); }

Model read_rmt_safetensors(const SafetensorsMap& tensors, const std::string& path) {
  return is_memory_alone(tensors) ? read_memory_alone(tensors, path)
                                  : Importer(tensors, path).run();
}

}  // namespace perdure
