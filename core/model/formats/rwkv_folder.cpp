// SPDX-License-Identifier: Apache-2.0

// config.json -> what differs from BlinkDL's checkpoints; shards -> one table of tensors under his
// names.
#include "core/model/formats/rwkv_folder.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/api/error.hpp"
#include "core/model/architectures/rwkv.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/format.hpp"
#include "core/model/formats/huggingface_folder.hpp"
#include "core/model/formats/rwkv_safetensors.hpp"
#include "core/model/formats/safetensors.hpp"

namespace perdure {
namespace {

constexpr double kLayerNormEps = 1e-5;  // of every norm in every RWKV

struct Renaming {
  std::string_view from, to;
};

// Whole names, and beginnings of names, outside of the layers.
constexpr Renaming kOutside[] = {
    {"rwkv.embeddings.", "emb."}, {"rwkv.ln_out.", "ln_out."}, {"model.embeddings.", "emb."},
    {"model.norm.", "ln_out."},   {"lm_head.", "head."},
};

constexpr std::string_view kLayers[] = {"rwkv.blocks.", "model.layers."};

// Beginnings of names inside of a layer.
constexpr Renaming kInside[] = {
    {"pre_ln.", "ln0."},   {"attention.", "att."}, {"feed_forward.", "ffn."},
    {"pre_norm.", "ln0."}, {"attn_norm.", "ln1."}, {"ffn_norm.", "ln2."},
    {"attn.", "att."},
};

// Ends of names.
constexpr Renaming kEnds[] = {
    {".time_mix_key", ".time_mix_k"},
    {".time_mix_value", ".time_mix_v"},
    {".time_mix_receptance", ".time_mix_r"},
    {".time_mix_gate", ".time_mix_g"},
    {".r_proj.weight", ".receptance.weight"},
    {".k_proj.weight", ".key.weight"},
    {".v_proj.weight", ".value.weight"},
    {".o_proj.weight", ".output.weight"},
    {".g_norm.weight", ".ln_x.weight"},
    {".g_norm.bias", ".ln_x.bias"},
    {"_lora.lora.0.weight", "1"},
    {"_lora.lora.2.weight", "2"},
    {"_lora.lora.2.bias", "0"},
    {".x_x", ".x_rwkvag"},
};

void replace_begin(std::string& name, std::span<const Renaming> table) {
  for (const auto& [from, to] : table)
    if (name.starts_with(from)) {
      name.replace(0, from.size(), to);
      return;
    }
}

void replace_end(std::string& name, std::span<const Renaming> table) {
  for (const auto& [from, to] : table)
    if (name.ends_with(from)) {
      name.replace(name.size() - from.size(), from.size(), to);
      return;
    }
}

// What an RWKV's config.json says.
class Config : public HuggingFaceConfig {
 public:
  using HuggingFaceConfig::HuggingFaceConfig;

  // Errors: Error if the configuration asks for what no RWKV here has.
  void check() const {
    for (const char* key : {"layer_norm_epsilon", "norm_eps"})
      if (real(key, kLayerNormEps) != kLayerNormEps)
        fail(key, "must be 1e-5, as in every RWKV that can be run");
    if (find("attn") != nullptr)
      fail("attn", "gives some layers attention; only layers of RWKV can be run");
    if (!flag("norm_first", true)) fail("norm_first", "must be true");
    if (text("hidden_act", "sqrelu") != "sqrelu") fail("hidden_act", "must be sqrelu");
  }

  // Of the norm of the heads' results, whose size is `head_size`.
  double group_norm_eps(int64_t version, int64_t head_size) const {
    if (version == 7) return kLayerNormEps * static_cast<double>(head_size);
    const double divisor = real("head_size_divisor", 8);
    if (!(divisor > 0 && divisor < 1e6)) fail("head_size_divisor", "must be above 0");
    return kLayerNormEps * divisor * divisor;
  }

  // Errors: Error if a size is another than the tensors'.
  void compare(const ModelInfo& info) const {
    const std::pair<const char*, int64_t> sizes[] = {
        {"hidden_size", info.hidden_size},
        {"num_hidden_layers", info.num_hidden_layers},
        {"vocab_size", info.vocab_size},
        {info.size("rwkv.version", 0) == 7 ? "head_dim" : "head_size", info.head_size},
    };
    for (const auto& [key, found] : sizes)
      if (size(key, found) != found)
        fail(key, "is " + std::to_string(size(key, found)) + " but the tensors make it " +
                      std::to_string(found));
  }
};

constexpr const char* kPickleHelp =
    "apps/train/train.py convert-rwkv IN.bin OUT.safetensors makes a file that can be read here";

// Tensors of files, under BlinkDL's names; they point into the mappings.
class Shards {
 public:
  explicit Shards(const std::string& folder) {
    file_.path = folder;
    for (const std::string& path : huggingface_weight_files(folder, kPickleHelp)) {
      files_.emplace_back(path);
      for (const auto& [name, tensor] : files_.back().tensors())
        add(name, rwkv_tensor(name, tensor, path), path);
    }
  }

  RwkvFile& file() { return file_; }
  void keep_in(Model& model) {
    for (SafetensorsFile& file : files_) ModelBuilder::keep(model, file.take_file());
  }

 private:
  void add(const std::string& name, const RwkvTensor& tensor, const std::string& path) {
    // flash-linear-attention's low-rank matrices are linear layers, stored [out, in].
    file_.converted |= name.starts_with(kLayers[1]);
    if (!file_.tensors.emplace(blinkdl_name(name), tensor).second)
      throw Error(path + ": the tensor '" + name + "' is there twice, as '" + blinkdl_name(name) +
                  "'");
  }

  std::vector<SafetensorsFile> files_;
  RwkvFile file_;
};

}  // namespace

std::string blinkdl_name(std::string_view name) {
  std::string renamed(name);
  for (const std::string_view layers : kLayers) {
    if (!name.starts_with(layers)) continue;
    const size_t dot = name.find('.', layers.size());
    if (dot == name.npos) return renamed;
    std::string inside(name.substr(dot + 1));
    replace_begin(inside, kInside);
    replace_end(inside, kEnds);
    return "blocks." + std::string(name.substr(layers.size(), dot + 1 - layers.size())) + inside;
  }
  replace_begin(renamed, kOutside);
  return renamed;
}

bool is_rwkv_folder(const std::string& folder) {
  try {
    return has_huggingface_config(folder) &&
           Config(folder).text("model_type", "").starts_with("rwkv");
  } catch (const std::exception&) {
    return false;
  }
}

Model read_rwkv_folder(const std::string& folder) {
  const Config config(folder);
  config.check();
  Shards shards(folder);
  RwkvFile& file = shards.file();
  file.format = "Hugging Face " + config.text("model_type", "");
  const auto embedding = file.tensors.find("emb.weight");
  if (config.flag("tie_word_embeddings", false) && embedding != file.tensors.end())
    file.tensors.emplace("head.weight", embedding->second);
  file.group_norm_eps = [&](int64_t version, int64_t head_size) {
    return config.group_norm_eps(version, head_size);
  };
  Model model = rwkv_model(file);
  config.compare(model.spec().info);
  shards.keep_in(model);
  return model;
}

ModelFormat rwkv_folder_format() {
  return {.recognises =
              [](const ModelSource& source) {
                return source.is_folder() && is_rwkv_folder(source.path);
              },
          .read = [](ModelSource source) { return read_rwkv_folder(source.path); }};
}

}  // namespace perdure
