// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/llama_config.hpp"

#include <algorithm>
#include <array>

#include "core/model/architectures/architecture.hpp"
#include "core/model/formats/tokenizer_config.hpp"

namespace perdure {
namespace {

// No product of two sizes wraps.
constexpr int64_t kMostSize = int64_t{1} << 31;

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
  ConfigReader(const HuggingFaceConfig& config, const std::string& architecture)
      : config_(config), architecture_(architecture) {}

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
    // What generation stops at is said there; config.json may name fewer.
    if (const auto ends = read_generation_ends(config_.folder())) m.set("eos_token_id", *ends);
    ModelSpec spec = read_spec(architecture_, m, "Hugging Face " + architecture_);
    read_scaling(spec);
    read_window(spec);
    return spec;
  }

 private:
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
  const std::string& architecture_;
};

}  // namespace

ModelSpec llama_spec(const HuggingFaceConfig& config, const std::string& architecture) {
  return ConfigReader(config, architecture).read();
}

}  // namespace perdure
