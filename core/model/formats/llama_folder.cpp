// SPDX-License-Identifier: Apache-2.0

// config.json -> sizes and options; shards -> one table of tensors under the names of model.hpp.
#include "core/model/formats/llama_folder.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/api/error.hpp"
#include "core/model/architectures/architecture.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/format.hpp"
#include "core/model/formats/huggingface_folder.hpp"
#include "core/model/formats/llama_weights.hpp"
#include "core/model/formats/safetensors.hpp"

namespace perdure {
namespace {

constexpr std::array kArchitectures = {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM",
                                       "Qwen3ForCausalLM"};
// No product of two sizes wraps.
constexpr int64_t kMostSize = int64_t{1} << 31;

constexpr std::string_view kLayers = "model.layers.";

struct Renaming {
  std::string_view theirs, ours;
};

constexpr Renaming kOutside[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
    {"lm_head.bias", "output.bias"},
};

// Without ".weight" or ".bias".
constexpr Renaming kInside[] = {
    {"input_layernorm", "attn_norm"},    {"post_attention_layernorm", "ffn_norm"},
    {"self_attn.q_proj", "attn_q"},      {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},      {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"}, {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
};

// "model.layers.3.self_attn.q_proj.weight" -> "blk.3.attn_q.weight"; other names stay.
std::string own_name(const std::string& name) {
  for (const auto& [theirs, ours] : kOutside)
    if (name == theirs) return std::string(ours);
  if (!name.starts_with(kLayers)) return name;
  const size_t dot = name.find('.', kLayers.size()), end = name.rfind('.');
  if (dot == name.npos || end <= dot) return name;
  const std::string layer = name.substr(kLayers.size(), dot - kLayers.size());
  const std::string inside = name.substr(dot + 1, end - dot - 1);
  for (const auto& [theirs, ours] : kInside)
    if (inside == theirs) return "blk." + layer + "." + std::string(ours) + name.substr(end);
  return name;
}

std::string name_in_file(const std::string& name) {
  for (const auto& [theirs, ours] : kOutside)
    if (name == ours) return std::string(theirs);
  const size_t begin = name.find('.') + 1, dot = name.find('.', begin), end = name.rfind('.');
  const std::string inside = name.substr(dot + 1, end - dot - 1);
  for (const auto& [theirs, ours] : kInside)
    if (inside == ours)
      return std::string(kLayers) + name.substr(begin, dot + 1 - begin) + std::string(theirs) +
             name.substr(end);
  return name;
}

// What stands for itself in a list of YAML.
std::string option_text(const Json& value) {
  const auto* list = std::get_if<Json::List>(&value.content());
  if (list == nullptr) return value.scalar_text();
  std::string text;
  for (const Json& item : *list) text += (text.empty() ? "" : ", ") + item.scalar_text();
  return text;
}

bool is_null(const Json& value) { return std::holds_alternative<std::nullptr_t>(value.content()); }

class ConfigReader {
 public:
  explicit ConfigReader(const HuggingFaceConfig& config)
      : config_(config), architecture_(find_architecture()) {}

  ModelSpec read() const {
    check();
    Metadata m(config_.path());
    for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers",
                            "num_attention_heads", "vocab_size", "max_position_embeddings"})
      if (config_.find(key) == nullptr) config_.fail(key, "is missing");
    for (const char* key :
         {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
          "num_key_value_heads", "vocab_size", "max_position_embeddings", "head_dim"})
      size(m, key);
    m.set("rms_norm_eps", config_.real("rms_norm_eps", 1e-6));
    m.set("rope_theta", theta());
    m.set("rotation_order", "halves");
    tokens(m, "bos_token_id");
    tokens(m, "eos_token_id");
    ModelSpec spec = read_spec(architecture_, m, "Hugging Face " + architecture_);
    read_scaling(spec);
    read_window(spec);
    return spec;
  }

 private:
  std::string find_architecture() const {
    const Json* names = config_.find("architectures");
    if (names == nullptr) config_.fail("architectures", "is missing");
    const auto* list = std::get_if<Json::List>(&names->content());
    const std::string name =
        list != nullptr && list->size() == 1 ? list->front().scalar_text() : "a list";
    if (std::ranges::count(kArchitectures, name) == 0)
      config_.fail("architectures",
                   "is '" + name +
                       "', which cannot be read; LlamaForCausalLM, MistralForCausalLM, "
                       "Qwen2ForCausalLM and Qwen3ForCausalLM can");
    return name;
  }

  void check() const {
    if (config_.text("hidden_act", "silu") != "silu") config_.fail("hidden_act", "must be silu");
    if (config_.find("quantization_config") != nullptr)
      config_.fail("quantization_config", "is not supported; weights are F32, F16 or BF16");
    if (config_.real("partial_rotary_factor", 1.0) != 1.0)
      config_.fail("partial_rotary_factor", "must be 1");
  }

  void size(Metadata& m, const char* key) const {
    if (config_.find(key) == nullptr) return;
    const int64_t value = config_.size(key, 0);
    if (value < 1 || value > kMostSize)
      config_.fail(
          key, "is " + std::to_string(value) + " but must be 1 to " + std::to_string(kMostSize));
    m.set(key, value);
  }

  void tokens(Metadata& m, const char* key) const {
    std::vector<int64_t> ids;
    if (const Json* value = config_.find(key)) {
      const auto* list = std::get_if<Json::List>(&value->content());
      if (list == nullptr) ids.push_back(config_.size(key, 0));
      if (list != nullptr)
        for (const Json& id : *list) ids.push_back(id.integer());
    }
    m.set(key, ids);
  }

  // Newer files keep theta beside the scaling.
  const Json* scaling() const {
    const Json* newer = config_.find("rope_parameters");
    return newer != nullptr ? newer : config_.find("rope_scaling");
  }

  double theta() const {
    const Json* map = config_.find("rope_parameters");
    const Json* beside = map == nullptr ? nullptr : map->find("rope_theta");
    const double theta = beside != nullptr ? beside->real() : config_.real("rope_theta", 10000.0);
    if (!(theta > 0)) config_.fail("rope_theta", "must be above 0");
    return theta;
  }

  void read_scaling(ModelSpec& spec) const {
    if (scaling() == nullptr) return;
    std::string form = "none";
    for (const auto& [key, value] : scaling()->map())
      if ((key == "rope_type" || key == "type") && !is_null(value)) form = value.text();
    if (form == "su") form = "longrope";
    if (form == "default" || form == "none") return;
    static constexpr std::array kForms = {"linear", "dynamic", "yarn", "longrope", "llama3"};
    if (std::ranges::count(kForms, form) == 0)
      config_.fail("rope_scaling", "has the type '" + form + "', which is unknown");
    spec.strategy_options["rope_scaling"] = {form};
    for (const auto& [key, value] : scaling()->map()) read_parameter(spec, key, value);
  }

  void read_parameter(ModelSpec& spec, const std::string& key, const Json& value) const {
    static constexpr std::array kIdle = {"rope_type", "type", "rope_theta", "finetuned"};
    static constexpr std::array kKnown = {"factor",          "original_max_position_embeddings",
                                          "beta_fast",       "beta_slow",
                                          "mscale",          "attention_factor",
                                          "low_freq_factor", "high_freq_factor",
                                          "short_factor",    "long_factor"};
    if (is_null(value) || std::ranges::count(kIdle, key) > 0) return;
    if (key == "truncate" && value.flag()) return;
    if (std::ranges::count(kKnown, key) == 0)
      config_.fail("rope_scaling", "says '" + key + "', which is not supported");
    spec.strategy_options[key] = {option_text(value), "rope_scaling"};
  }

  // Qwen's layers may differ; then none of our strategies is right for all.
  void read_window(ModelSpec& spec) const {
    const bool asks = architecture_.starts_with("Qwen") ? config_.flag("use_sliding_window", false)
                                                        : architecture_ == "MistralForCausalLM";
    const int64_t window = config_.size("sliding_window", 0);
    if (!asks || window == 0) return;
    if (window < 0) config_.fail("sliding_window", "is negative");
    if (architecture_.starts_with("Qwen")) {
      const int64_t first = config_.size("max_window_layers", 28);
      if (first >= spec.info.num_hidden_layers) return;
      if (first != 0)
        config_.fail("max_window_layers",
                     "gives some layers a window and others none, which is not supported");
    }
    spec.strategy_options["window"] = {std::to_string(window)};
  }

  const HuggingFaceConfig& config_;
  std::string architecture_;
};

// A shard; its tensors point into the mapping.
struct Shard {
  MappedFile mapped;
  SafetensorsMap tensors;
};

std::vector<Shard> map_shards(const std::string& folder) {
  std::vector<Shard> shards;
  for (const std::string& path : huggingface_weight_files(
           folder, "convert it to safetensors with the program that made it")) {
    MappedFile mapped(path);
    SafetensorsMap tensors = read_safetensors(mapped.bytes(), path);
    shards.push_back({std::move(mapped), std::move(tensors)});
  }
  return shards;
}

LlamaTensors tensors_of(const std::string& folder, const std::vector<Shard>& shards, bool tied) {
  LlamaTensors tensors{.path = folder, .name_in_file = name_in_file};
  for (const Shard& shard : shards)
    for (const auto& [name, tensor] : shard.tensors) {
      // A copy of the embedding that nobody reads.
      if (tied && name == "lm_head.weight") continue;
      const std::string& path = shard.mapped.path();
      const LlamaTensor added{.name = name,
                              .path = &path,
                              .dtype = weight_dtype(name, tensor, path),
                              .shape = tensor.shape,
                              .data = tensor.bytes.data()};
      if (!tensors.by_name.emplace(own_name(name), added).second)
        throw Error(path + ": the tensor '" + name + "' is in an earlier file already");
    }
  return tensors;
}

}  // namespace

Model read_llama_folder(const std::string& folder) {
  const HuggingFaceConfig config(folder);
  ModelBuilder builder;
  builder.spec() = ConfigReader(config).read();
  std::vector<Shard> shards = map_shards(folder);
  const bool tied = config.flag("tie_word_embeddings", false);
  const LlamaTensors tensors = tensors_of(folder, shards, tied);
  if (!tied && !tensors.by_name.contains("output.weight"))
    throw Error(folder + ": the tensor 'lm_head.weight' is missing, and config.json does not say " +
                "that it is the embedding (tie_word_embeddings)");
  add_llama_weights(tensors, builder);
  Model model = builder.take();
  for (Shard& shard : shards) ModelBuilder::keep(model, std::move(shard.mapped));
  return model;
}

ModelFormat llama_folder_format() {
  return {.recognises =
              [](const ModelSource& source) {
                return source.is_folder() && has_huggingface_config(source.path);
              },
          .read = [](ModelSource source) { return read_llama_folder(source.path); }};
}

}  // namespace perdure
