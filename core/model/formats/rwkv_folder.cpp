// SPDX-License-Identifier: Apache-2.0

// config.json -> what differs from BlinkDL's checkpoints; shards -> one table of tensors under his
// names.
#include "core/model/formats/rwkv_folder.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <vector>

#include "core/api/error.hpp"
#include "core/base/json/json.hpp"
#include "core/model/architectures/rwkv.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/format.hpp"
#include "core/model/formats/rwkv_safetensors.hpp"
#include "core/model/formats/safetensors.hpp"

namespace perdure {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostConfigBytes = size_t{1} << 18;
constexpr double kLayerNormEps = 1e-5;  // of every norm in every RWKV
constexpr size_t kMostShards = 99999;   // as the names of shards count

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

std::string config_path(const std::string& folder) { return folder + "/config.json"; }

Json read_config(const std::string& folder) {
  const std::string path = config_path(folder);
  const MappedFile file(path);
  if (file.bytes().size() > kMostConfigBytes)
    throw Error(path + ": byte offset " + std::to_string(kMostConfigBytes) +
                ": a configuration takes less than 256 KiB");
  return Json::parse({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()},
                     path);
}

// What config.json says, with errors that name it.
class Config {
 public:
  explicit Config(const std::string& folder)
      : path_(config_path(folder)), json_(read_config(folder)) {}

  // nullptr: not there, or null.
  const Json* find(std::string_view key) const {
    const Json* value = json_.find(key);
    return value == nullptr || std::holds_alternative<std::nullptr_t>(value->content()) ? nullptr
                                                                                        : value;
  }
  double real(std::string_view key, double otherwise) const {
    return get(key, otherwise, [](const Json& value) { return value.real(); });
  }
  bool flag(std::string_view key, bool otherwise) const {
    return get(key, otherwise, [](const Json& value) { return value.flag(); });
  }
  std::string text(std::string_view key, const std::string& otherwise) const {
    return get(key, otherwise, [](const Json& value) { return value.text(); });
  }
  int64_t size(std::string_view key, int64_t otherwise) const {
    return get(key, otherwise, [](const Json& value) { return value.integer(); });
  }

  [[noreturn]] void fail(std::string_view key, const std::string& what) const {
    throw Error(path_ + ": key '" + std::string(key) + "' " + what);
  }

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
    };
    for (const auto& [key, found] : sizes)
      if (size(key, found) != found)
        fail(key, "is " + std::to_string(size(key, found)) + " but the tensors make it " +
                      std::to_string(found));
  }

 private:
  template <class T, class Read>
  T get(std::string_view key, T otherwise, Read read) const {
    const Json* value = find(key);
    if (value == nullptr) return otherwise;
    try {
      return read(*value);
    } catch (const Error& error) {
      fail(key, std::string("cannot be read: ") + error.what());
    }
  }

  std::string path_;
  Json json_;
};

std::string five_digits(size_t number) {
  const std::string digits = std::to_string(number);
  return std::string(5 - std::min<size_t>(5, digits.size()), '0') + digits;
}

// "model-00001-of-00003.safetensors" -> 3; 0: no name of a shard.
size_t shards_by_name(const std::string& name) {
  constexpr std::string_view kBegin = "model-00001-of-", kEnd = ".safetensors";
  if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) return 0;
  const std::string digits = name.substr(kBegin.size(), 5);
  const bool whole = name.size() == kBegin.size() + 5 + kEnd.size() &&
                     std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
  return whole ? std::min(kMostShards, static_cast<size_t>(std::stoul(digits))) : 0;
}

// The files that hold the tensors. Errors: Error if there are none that can be read.
std::vector<std::string> weight_files(const std::string& folder) {
  if (fs::exists(folder + "/model.safetensors")) return {folder + "/model.safetensors"};
  bool has_pickles = false;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    has_pickles |= name.starts_with("pytorch_model") && name.ends_with(".bin");
    const size_t n = shards_by_name(name);
    std::vector<std::string> files;
    for (size_t i = 1; i <= n; ++i)
      files.push_back(folder + "/model-" + five_digits(i) + "-of-" + five_digits(n) +
                      ".safetensors");
    if (n > 0) return files;
  }
  throw Error(folder +
              (has_pickles ? ": its weights are pytorch_model.bin, which only PyTorch can read; "
                             "apps/train/train.py convert-rwkv IN.bin OUT.safetensors makes a file "
                             "that can be read here"
                           : ": there is neither model.safetensors nor a first shard "
                             "model-00001-of-N.safetensors"));
}

// Tensors of files, under BlinkDL's names; they point into the mappings.
class Shards {
 public:
  explicit Shards(const std::string& folder) {
    file_.path = folder;
    for (const std::string& path : weight_files(folder)) {
      mapped_.emplace_back(path);
      for (const auto& [name, tensor] : read_safetensors(mapped_.back().bytes(), path))
        add(name, rwkv_tensor(name, tensor, path), path);
    }
  }

  RwkvFile& file() { return file_; }
  void keep_in(Model& model) {
    for (MappedFile& file : mapped_) ModelBuilder::keep(model, std::move(file));
  }

 private:
  void add(const std::string& name, const RwkvTensor& tensor, const std::string& path) {
    // flash-linear-attention's low-rank matrices are linear layers, stored [out, in].
    file_.converted |= name.starts_with(kLayers[1]);
    if (!file_.tensors.emplace(blinkdl_name(name), tensor).second)
      throw Error(path + ": the tensor '" + name + "' is there twice, as '" + blinkdl_name(name) +
                  "'");
  }

  std::vector<MappedFile> mapped_;
  RwkvFile file_;
};

// The number of RWKV's version, and the size of a head where the eps depends on it.
void set_group_norm_eps(RwkvFile& file, const Config& config) {
  const auto r_k = file.tensors.find("blocks.0.att.r_k");
  const bool is_7 = r_k != file.tensors.end() && r_k->second.shape.size() == 2;
  file.group_norm_eps = config.group_norm_eps(is_7 ? 7 : 6, is_7 ? r_k->second.shape[1] : 0);
}

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
    if (!fs::exists(config_path(folder))) return false;
    return Config(folder).text("model_type", "").starts_with("rwkv");
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
  set_group_norm_eps(file, config);
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
