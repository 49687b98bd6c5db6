// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/llama_config.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "core/api/error.hpp"
#include "core/base/shown_name.hpp"
#include "core/config/scaling_map.hpp"
#include "core/model/architectures/architecture.hpp"
#include "core/model/formats/tokenizer_config.hpp"

namespace perdure {
namespace {

// No product of two sizes wraps.
constexpr int64_t kMostSize = int64_t{1} << 31;

// The same value in YAML, as if it stood at `place`.
YamlNode yaml_node(const Json& value, const SourcePlace& place) {
  YamlNode node;
  node.place = place;
  const Json::Content& content = value.content();
  if (std::holds_alternative<std::nullptr_t>(content)) return node;
  if (const auto* list = std::get_if<Json::List>(&content)) {
    node.kind = YamlNode::Kind::kList;
    node.items.reserve(list->size());
    for (const Json& item : *list) node.items.push_back(yaml_node(item, place));
  } else if (const auto* map = std::get_if<Json::Map>(&content)) {
    node.kind = YamlNode::Kind::kMap;
    for (const auto& [key, item] : *map)
      node.entries.push_back({key, place, yaml_node(item, place)});
  } else {
    node.kind = YamlNode::Kind::kScalar;
    node.text = value.scalar_text();
    node.quoted = std::holds_alternative<std::string>(content);
  }
  return node;
}

// Newer files have the first, with theta in it; older ones the second.
constexpr std::array kScalingKeys = {"rope_parameters", "rope_scaling"};

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
    if (const auto ends = read_generation_ends(config_.folder(), vocab_size()))
      m.set("eos_token_id", *ends);
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

  int64_t vocab_size() const { return config_.size("vocab_size", 0); }

  void tokens(Metadata& m, const char* key) const {
    const std::vector<int64_t> ids = config_.sizes(key);
    for (const int64_t id : ids)
      if (id >= vocab_size())
        config_.fail(key, "is " + std::to_string(id) +
                              ", which is not a token of a vocabulary of " +
                              std::to_string(vocab_size()));
    m.set(key, ids);
  }

  // It may stand in several places, all with the same value.
  double theta() const {
    std::optional<double> theta;
    std::string first;
    const auto take = [&](const HuggingFaceConfig& config, const std::string& place) {
      if (config.find("rope_theta") == nullptr) return;
      const double value = config.real("rope_theta", 0);
      if (!(value > 0)) config.fail("rope_theta", "must be above 0");
      if (theta && *theta != value)
        config_.fail(first, "and key '" + place + "' have different values");
      theta = value;
      first = place;
    };
    take(config_, "rope_theta");
    for (const std::string key : kScalingKeys)
      if (config_.find(key) != nullptr) take(config_.part(key), key + ".rope_theta");
    return theta.value_or(10000.0);
  }

  // As a configuration's `rope_scaling` is read.
  void read_scaling(ModelSpec& spec) const {
    StrategyChoice choice;
    try {
      for (const char* key : kScalingKeys) read_scaling_map(key, choice);
      read_trained_length(choice);
      const auto form = choice.options.find("rope_scaling");
      if (form == choice.options.end() || form->second.text == "none") return;
      check_scaling(choice);
      use_own_words(choice);
    } catch (const UsageError& error) {
      throw Error(error.what());  // the fault is the file's
    }
    // transformers has no use for it without mscale_all_dim.
    choice.options.erase("mscale");
    for (const auto& [name, option] : choice.options)
      spec.strategy_options[name] = {option.text, name == "rope_scaling" ? "" : "rope_scaling"};
  }

  void read_scaling_map(const char* key, StrategyChoice& choice) const {
    const Json* map = config_.find(key);
    if (map == nullptr) return;
    const SourcePlace place{config_.path()};
    YamlEntry entry{"rope_scaling", place, yaml_node(*map, place)};
    std::erase_if(entry.value.entries, [](const YamlEntry& e) { return e.key == "rope_theta"; });
    YamlNode nothing;
    perdure::read_scaling_map(MapReader(nothing, ""), entry, choice);
  }

  // Folders with longrope say it beside the map, where transformers looks for it.
  void read_trained_length(StrategyChoice& choice) const {
    static constexpr const char* kKey = "original_max_position_embeddings";
    const auto form = choice.options.find("rope_scaling");
    if (form == choice.options.end() || form->second.text != "longrope") return;
    const int64_t length = config_.size(kKey, 0);
    if (length == 0) return;
    if (length < 0) config_.fail(kKey, "is negative");
    choice.options.insert_or_assign(kKey, RawOption{std::to_string(length), {config_.path()}});
  }

  void check_scaling(const StrategyChoice& choice) const {
    static constexpr std::array kForms = {"linear", "dynamic", "yarn", "longrope", "llama3"};
    static constexpr std::array kKnown = {
        "rope_scaling",    "factor",           "original_max_position_embeddings",
        "beta_fast",       "beta_slow",        "attention_factor",
        "mscale",          "mscale_all_dim",   "truncate",
        "low_freq_factor", "high_freq_factor", "short_factor",
        "long_factor"};
    const std::string& form = choice.options.at("rope_scaling").text;
    if (std::ranges::count(kForms, form) == 0)
      config_.fail("rope_scaling", "has the type '" + shown_name(form) + "', which is unknown");
    for (const auto& [name, option] : choice.options)
      if (std::ranges::count(kKnown, name) == 0)
        config_.fail("rope_scaling", "says '" + shown_name(name) + "', which is not supported");
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
