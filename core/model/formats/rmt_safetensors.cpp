// SPDX-License-Identifier: Apache-2.0

// The llama inside is read as in files without a memory; what is neither its nor the memory is
// refused, because it would change the numbers.
#include "core/model/formats/rmt_safetensors.hpp"

#include <filesystem>

#include "core/api/error.hpp"
#include "core/base/json/json.hpp"
#include "core/base/shape_text.hpp"
#include "core/base/shown_name.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/format.hpp"
#include "core/model/formats/huggingface_folder.hpp"
#include "core/model/formats/llama2rnn_args.hpp"
#include "core/model/formats/llama_config.hpp"
#include "core/model/formats/llama_names.hpp"
#include "core/model/formats/llama_weights.hpp"
#include "core/model/formats/safetensors_model.hpp"
#include "core/model/formats/small_text.hpp"
#include "core/model/formats/weight_values.hpp"

namespace perdure {
namespace {

constexpr std::string_view kMemory = "memory_cell.memory";
constexpr std::string_view kModelPrefix = "memory_cell.model.";
constexpr std::string_view kHuggingFacePrefix = "memory_cell.model.model.";
// As of the strategy's own options: no sum of sizes of a segment wraps.
constexpr int64_t kMostTokens = 1 << 24;

bool is_memory_alone(const SafetensorsMap& tensors) {
  return is_rmt(tensors) && !has_prefix(tensors, kModelPrefix);
}

// nullptr if it is not there, or in no map.
const Json* member(const Json* json, std::string_view key) {
  const bool is_map = json != nullptr && std::holds_alternative<Json::Map>(json->content());
  return is_map ? json->find(key) : nullptr;
}

// Errors: Error if the model is no plain llama.
ModelSpec hugging_face_spec(const HuggingFaceConfig& config) {
  const std::string type = config.text("model_type", "llama");
  if (type != "llama")
    config.fail("model_type", "is '" + shown_name(type) + "'; only a llama with memory is read");
  ModelSpec spec = llama_spec(config, "LlamaForCausalLM");
  if (config.find("rope_scaling") != nullptr || spec.strategy_options.contains("rope_scaling"))
    config.fail("rope_scaling", "is set; a llama with memory is read without one");
  spec.format = "safetensors";
  return spec;
}

// `rmt`: what the options of that name are; nullptr if there are none.
int64_t segment_size(const Json* rmt, const std::string& path) {
  const Json* size = member(rmt, "segment_size");
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
  const Json* name = member(member(&options, "rmt"), "model");
  const auto* given = name == nullptr ? nullptr : std::get_if<std::string>(&name->content());
  if (given == nullptr)
    throw Error(path +
                ": the key 'rmt.model' with the path of the llama that this memory goes "
                "with is missing");
  const std::string llama = (std::filesystem::path(path).parent_path() / *given).string();
  // Looked at first: a file that names itself would be read for ever.
  if (llama.ends_with(".safetensors") && is_rmt(SafetensorsFile(llama).tensors()))
    throw Error(path + ": the key 'rmt.model' names " + llama + ", which has a memory of its own");
  Model model = read_model(llama);
  if (model.spec().architecture != "llama")
    throw Error(path + ": the key 'rmt.model' names " + llama + ", which is not a llama but a '" +
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
  const Json options = Json::parse(read_small_text(json), json);
  Model model = llama_of_memory(options, json);
  add_memory(model, memory_of(tensors, model.spec().info.hidden_size, path),
             segment_size(member(&options, "rmt"), json));
  return model;
}

// Under the names of model.hpp, but for the memory. What does not stand behind the prefix has none.
LlamaTensors llama_tensors(const SafetensorsMap& tensors, const std::string& path,
                           const LlamaNames& names) {
  LlamaTensors llama{.path = path, .name_in_file = [&names](const std::string& name) {
                       return std::string(kModelPrefix) + names.in_file(name);
                     }};
  for (const auto& [name, tensor] : tensors) {
    if (name == kMemory) continue;
    const bool inside = name.starts_with(kModelPrefix);
    const LlamaTensor added{.name = name,
                            .path = &path,
                            .dtype = weight_dtype(name, tensor, path),
                            .shape = tensor.shape,
                            .data = tensor.bytes.data()};
    llama.by_name.emplace(names.own(inside ? name.substr(kModelPrefix.size()) : "?" + name), added);
  }
  return llama;
}

// The llama's spec and weights, and the number of tokens of a segment.
int64_t read_hugging_face(const SafetensorsMap& tensors, const std::string& path,
                          ModelBuilder& builder) {
  const HuggingFaceConfig config(std::filesystem::path(path).parent_path().string());
  const int64_t segment = segment_size(config.find("rmt"), config.path());
  builder.spec() = hugging_face_spec(config);
  add_llama_weights(llama_tensors(tensors, path, kHuggingFaceLlamaNames), builder);
  return segment;
}

int64_t read_llama2c(const SafetensorsMap& tensors, const std::string& path,
                     ModelBuilder& builder) {
  const std::string json = safetensors_options_path(path), text = read_small_text(json);
  builder.spec() = Llama2RnnArgs(text, json).spec();
  const int64_t segment = segment_size(Json::parse(text, json).find("rmt"), json);
  add_llama_weights(llama_tensors(tensors, path, kLlama2cNames), builder);
  return segment;
}

Model read_with_llama(const SafetensorsMap& tensors, const std::string& path) {
  ModelBuilder builder;
  const int64_t segment = has_prefix(tensors, kHuggingFacePrefix)
                              ? read_hugging_face(tensors, path, builder)
                              : read_llama2c(tensors, path, builder);
  const Weight memory = memory_of(tensors, builder.spec().info.hidden_size, path);
  Model model = builder.take();
  add_memory(model, memory, segment);
  return model;
}

}  // namespace

bool is_rmt(const SafetensorsMap& tensors) { return tensors.find(kMemory) != tensors.end(); }

Model read_rmt_safetensors(const SafetensorsMap& tensors, const std::string& path) {
  return is_memory_alone(tensors) ? read_memory_alone(tensors, path)
                                  : read_with_llama(tensors, path);
}

}  // namespace perdure
