// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/commands/model_files.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <regex>
#include <string>
#include <system_error>
#include <vector>

#include "apps/perdure/terminal/output.hpp"
#include "core/api/error.hpp"
#include "core/model/conversion/gguf_vocabulary_keys.hpp"
#include "core/model/formats/huggingface_cache.hpp"

namespace perdure::app {
namespace {

namespace fs = std::filesystem;

// The first that is there; a folder that is a model has Hugging Face's, whatever else lies in it.
constexpr std::array kBesideFiles = {"tokenizer.bin", "tokenizer.gguf", "rwkv_vocab_v20230424.txt",
                                     "tokenizer.json", "tokenizer.model"};
constexpr std::array kInFolders = {"tokenizer.json", "tokenizer.model", "tokenizer.gguf",
                                   "tokenizer.bin", "rwkv_vocab_v20230424.txt"};

bool is_model(const fs::path& path) {
  const std::string type = path.extension(), name = path.filename();
  return !name.starts_with("tokenizer") &&
         (type == ".bin" || type == ".safetensors" || type == ".gguf");
}

// Files of the same name but for its ending are one model: .bin comes first.
std::vector<fs::path> models_in(const fs::path& folder) {
  std::vector<fs::path> models;
  std::error_code error, ignored;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (entry->is_regular_file(ignored) && is_model(entry->path())) models.push_back(entry->path());
  if (error)
    throw Error(fmt::format("cannot read the directory {}: {}", folder.native(), error.message()));
  std::sort(models.begin(), models.end());
  const auto same = [](const fs::path& a, const fs::path& b) { return a.stem() == b.stem(); };
  models.erase(std::unique(models.begin(), models.end(), same), models.end());
  return models;
}

std::string model_in(const fs::path& folder) {
  const std::vector<fs::path> models = models_in(folder);
  if (models.size() == 1) return models.front();
  if (models.empty())
    throw UsageError(
        fmt::format("the directory {} has no model (.bin, .safetensors or .gguf); name a file",
                    folder.native()));
  std::vector<std::string> names;
  for (const fs::path& model : models) names.push_back(model.filename());
  throw UsageError(fmt::format("the directory {} has several models; name one of them: {}",
                               folder.native(), fmt::join(names, ", ")));
}

// What cannot be read is reported when it is opened as a model.
bool brings_vocabulary(const std::string& path) {
  try {
    return has_vocabulary(path);
  } catch (const Error&) {
    return true;
  }
}

bool starts_untrained(const StrategyChoice& choice) {
  const auto initial = choice.options.find("initial");
  return initial != choice.options.end() &&
         (initial->second.text == "zero" || initial->second.text == "untrained");
}

}  // namespace

void complete_model(Settings& settings) {
  auto& model = settings.model;
  for (std::string* path : {&model.path, &model.tokenizer})
    if (is_huggingface_name(*path)) *path = resolve_huggingface_name(*path);
  std::error_code ignored;
  if (fs::is_directory(model.path, ignored) &&
      !fs::exists(fs::path(model.path) / "config.json", ignored))
    model.path = model_in(model.path);
  if (model.path.empty() || !model.tokenizer.empty()) return;
  const fs::path path = model.path;
  if (path.extension() == ".gguf" && brings_vocabulary(path)) {
    model.tokenizer = model.path;
    return;
  }
  const bool is_folder = fs::is_directory(path, ignored);
  const fs::path folder = is_folder ? path : path.parent_path();
  for (const char* name : is_folder ? kInFolders : kBesideFiles)
    if (fs::is_regular_file(folder / name, ignored)) {
      model.tokenizer = (folder / name).string();
      return;
    }
}

void note_untrained_memory(const Settings& settings, const std::string& before, bool quiet) {
  const auto& attention = settings.attention;
  if (starts_untrained(attention.choice) ||
      std::ranges::any_of(attention.layers, starts_untrained, &LayerOverride::choice))
    note(before +
             "the memory is untrained (attention.initial): it shows what the method costs, "
             "not what it can do",
         quiet);
}

void note_method(const Engine& engine, bool quiet) {
  note_untrained_memory(engine.settings(), "", quiet);
  static const std::regex kMemoryLayers("memlayer[0-9]*|[_, ]");
  const auto& args = engine.spec().llama2rnn_args;
  const auto method = args.find("extend_method");
  if (method == args.end() || std::regex_replace(method->second, kMemoryLayers, "").empty()) return;
  note(fmt::format("the model's extend_method '{}' is not applied, except for its memory layers; "
                   "docs/methods.md lists the options that mean the same",
                   method->second),
       quiet);
}

void refuse_ensemble(const Settings& settings, const std::string& what) {
  if (!settings.ensemble.passages.empty())
    throw UsageError(what +
                     " reads one text; ensemble.passages is for `generate` without a session");
}

}  // namespace perdure::app
