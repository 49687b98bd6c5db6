// SPDX-License-Identifier: Apache-2.0

#include "core/model/conversion/llama_folder_writer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "core/api/error.hpp"
#include "core/base/descriptor.hpp"
#include "core/base/json/json_write.hpp"
#include "core/base/write_file.hpp"
#include "core/model/architectures/architecture.hpp"
#include "core/model/conversion/gguf_vocabulary_keys.hpp"
#include "core/model/conversion/llama_family.hpp"
#include "core/model/conversion/safetensors_stream.hpp"
#include "core/model/conversion/scalar_json.hpp"
#include "core/model/formats/gguf.hpp"
#include "core/model/formats/gguf_writer.hpp"
#include "core/model/formats/llama_names.hpp"
#include "core/model/formats/tokenizer_config.hpp"

namespace perdure {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "a Hugging Face folder";

// What lies beside config.json and the weights and is the vocabulary's or the chat's.
constexpr std::array kCompanions = {
    "tokenizer.json", "tokenizer_config.json",   "tokenizer.model",        "tokenizer.bin",
    "tokenizer.gguf", "special_tokens_map.json", "added_tokens.json",      "vocab.json",
    "merges.txt",     "chat_template.jinja",     "generation_config.json",
};

// A folder under a name of its own until it is complete.
class NewFolder {
 public:
  explicit NewFolder(std::string path) : path_(std::move(path)) {
    while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
    std::error_code ignored;
    if (fs::exists(fs::symlink_status(path_, ignored)) && !fs::is_empty(path_, ignored))
      throw Error(path_ + " exists; a folder is never replaced: remove it or choose another name");
    for (int n = 0; temporary_.empty(); ++n) {
      const std::string name =
          path_ + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(n);
      if (::mkdir(name.c_str(), 0777) == 0)
        temporary_ = name;
      else if (errno != EEXIST)
        fail("making a folder");
    }
  }
  ~NewFolder() {
    std::error_code ignored;
    if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  std::string file(const std::string& name) const { return temporary_ + "/" + name; }
  const std::string& unfinished_path() const { return temporary_; }

  void commit() {
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("renaming");
    temporary_.clear();
    const std::string parent = fs::absolute(path_).parent_path().string();
    const Descriptor folder(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || ::fsync(folder.number()) != 0) fail("syncing the folder");
  }

 private:
  [[noreturn]] void fail(const char* step) const {
    throw Error("cannot write " + path_ + ": " + step + " failed (" + std::strerror(errno) + ")");
  }

  std::string path_, temporary_;
};

// A number that was an F32 as people write it: 1e-05, not 9.999999747378752e-06.
double shortest(double value) {
  const auto narrow = static_cast<float>(value);
  if (static_cast<double>(narrow) != value) return value;
  std::array<char, 40> text;
  const char* end = std::to_chars(text.data(), text.data() + text.size(), narrow).ptr;
  double short_value = value;
  std::from_chars(text.data(), end, short_value);
  return short_value;
}

// A scalar, or a list of them.
Json value_of(const std::string& text) {
  if (text.find(',') == text.npos) return scalar_json(text);
  Json::List list;
  for (const std::string_view item : list_items(text))
    list.push_back(scalar_json(std::string(item)));
  return Json(std::move(list));
}

struct FamilyName {
  const char *architecture, *type;
};

FamilyName name_of(const LlamaExport& llama) {
  if (llama.family() == LlamaFamily::kQwen3) return {"Qwen3ForCausalLM", "qwen3"};
  if (llama.family() == LlamaFamily::kQwen2) return {"Qwen2ForCausalLM", "qwen2"};
  if (llama.window() > 0) return {"MistralForCausalLM", "mistral"};
  return {"LlamaForCausalLM", "llama"};
}

void add_window(const LlamaExport& llama, Json::Map& config) {
  if (llama.window() == 0) return;
  config.push_back(member("sliding_window", llama.window()));
  if (llama.family() == LlamaFamily::kLlama) return;
  config.push_back(member("use_sliding_window", true));
  config.push_back(member("max_window_layers", 0));
}

void add_scaling(const LlamaExport& llama, Json::Map& config) {
  if (llama.scaling().empty()) return;
  Json::Map scaling = {member("rope_type", llama.scaling())};
  for (const auto& [name, option] : llama.spec().strategy_options)
    if (option.belongs_to == "rope_scaling")
      scaling.push_back(member(name, value_of(option.value)));
  config.push_back(member("rope_scaling", object(std::move(scaling))));
}

void add_tokens(const ModelInfo& info, Json::Map& config) {
  if (info.bos_id >= 0) config.push_back(member("bos_token_id", info.bos_id));
  if (info.eos_ids.size() == 1) config.push_back(member("eos_token_id", info.eos_ids.front()));
  if (info.eos_ids.size() > 1) config.push_back(member("eos_token_id", info.eos_ids));
}

std::string config_text(const LlamaExport& llama, perdure_dtype dtype) {
  const ModelInfo& info = llama.spec().info;
  if (info.rotated_size() != info.head_size) llama.refuse("the rotary_dim");
  if (info.size_of_values() != info.head_size) llama.refuse("the value_head_dim");
  const FamilyName name = name_of(llama);
  Json::Map config = {member("architectures", std::vector<std::string>{name.architecture}),
                      member("model_type", name.type)};
  for (const auto& [size_name, size] : named_sizes(llama.spec()))
    config.push_back(member(size_name, size));
  const Json::Map more = {
      member("head_dim", info.head_size),
      member("vocab_size", info.vocab_size),
      member("max_position_embeddings", info.train_length),
      member("rms_norm_eps", shortest(info.rms_norm_eps)),
      member("rope_theta", shortest(info.rope_theta)),
      member("hidden_act", "silu"),
      member("tie_word_embeddings", llama.tied()),
      member("torch_dtype", dtype == PERDURE_F16    ? "float16"
                            : dtype == PERDURE_BF16 ? "bfloat16"
                                                    : "float32"),
  };
  config.insert(config.end(), more.begin(), more.end());
  if (llama.family() == LlamaFamily::kLlama && llama.has("blk.0.attn_q.bias"))
    config.push_back(member("attention_bias", true));
  if (llama.has("blk.0.ffn_up.bias")) config.push_back(member("mlp_bias", true));
  add_window(llama, config);
  add_scaling(llama, config);
  add_tokens(info, config);
  return json_text(object(std::move(config))) + "\n";
}

void write_text(const std::string& path, std::string_view text) {
  write_file(path, std::as_bytes(std::span(text)), {.mode = 0666});
}

std::vector<StreamedTensor> tensors_of(const LlamaExport& llama,
                                       const LlamaFolderOptions& options) {
  std::vector<StreamedTensor> tensors = llama.tensors(RotationOrder::kHalves, false);
  for (StreamedTensor& tensor : tensors) {
    tensor.name = kHuggingFaceNames.in_file(tensor.name);
    if (options.dtype && tensor.shape.size() > 1) tensor.dtype = *options.dtype;
  }
  return tensors;
}

bool write_weights(const std::vector<StreamedTensor>& tensors, const Model& model,
                   const std::string& path, const KeepGoing& keep_going) {
  SafetensorsWriter writer(path, declared(tensors));
  if (!stream_tensors(tensors, model, writer, keep_going)) return false;
  writer.close();
  return true;
}

void copy_file(const std::string& from, const std::string& to) {
  write_file(to, MappedFile(from).bytes(), {.mode = 0666});
}

// The vocabulary of a GGUF file alone, in a file that perdure reads.
void write_vocabulary(const Gguf& source, const std::string& path) {
  GgufKeys keys;
  for (const auto& [key, value] : source.metadata())
    if (key.starts_with("tokenizer.") || key == "general.architecture")
      keys.set(std::string(key), value);
  GgufWriter writer(path, keys, {}, {.mode = 0666});
  writer.verify();
  writer.commit();
}

// That of the GGUF file, where a folder has it.
void write_chat_template(const Gguf& source, const NewFolder& folder) {
  const auto text = source.text("tokenizer.chat_template");
  if (text && !text->empty() &&
      read_tokenizer_config(folder.unfinished_path()).chat_template.empty())
    write_text(folder.file("chat_template.jinja"), *text);
}

void write_companions(const Model& model, const LlamaFolderOptions& options,
                      const NewFolder& folder, std::vector<std::string>& notes) {
  const fs::path source =
      model.files().empty() ? fs::path() : fs::path(model.files().front().path()).parent_path();
  std::error_code ignored;
  size_t n_copied = 0;
  if (model.spec().format.starts_with("Hugging Face"))
    for (const char* name : kCompanions)
      if (fs::is_regular_file(source / name, ignored)) {
        copy_file((source / name).string(), folder.file(name));
        ++n_copied;
      }
  if (!has_vocabulary(options.tokenizer)) {
    if (n_copied == 0)
      notes.push_back("the folder has no vocabulary: name one with model.tokenizer");
    return;
  }
  const MappedFile tokenizer(options.tokenizer);
  const std::string name = fs::path(options.tokenizer).filename().string();
  if (is_gguf(tokenizer.bytes()))
    write_chat_template(Gguf(tokenizer.bytes(), tokenizer.path()), folder);
  if (is_gguf(tokenizer.bytes()) && name != "tokenizer.gguf") {
    write_vocabulary(Gguf(tokenizer.bytes(), tokenizer.path()), folder.file("tokenizer.gguf"));
    notes.push_back("the vocabulary is in tokenizer.gguf, which perdure finds and others do not");
  } else if (!fs::exists(folder.file(name), ignored)) {
    copy_file(options.tokenizer, folder.file(name));
  }
}

}  // namespace

bool write_llama_folder(const Model& model, const std::string& path,
                        const LlamaFolderOptions& options, const KeepGoing& keep_going,
                        std::vector<std::string>& notes) {
  const LlamaExport llama(model, kFolder);
  const std::vector<StreamedTensor> tensors = tensors_of(llama, options);
  const std::string config = config_text(llama, tensors.front().dtype);
  NewFolder folder(path);
  if (!write_weights(tensors, model, folder.file("model.safetensors"), keep_going)) return false;
  write_companions(model, options, folder, notes);
  write_text(folder.file("config.json"), config);
  require_same_model(model.spec(), Model::open(folder.unfinished_path()).spec(), kFolder);
  model.require_unchanged();
  folder.commit();
  return true;
}

}  // namespace perdure
