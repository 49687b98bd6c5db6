// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/huggingface_folder.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "core/api/error.hpp"
#include "core/model/formats/small_text.hpp"

namespace perdure {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostShards = 99999;  // as the names of shards count

std::string config_path(const std::string& folder) {
  return (fs::path(folder) / "config.json").string();
}

Json read_config(const std::string& folder) {
  const std::string path = config_path(folder);
  Json config = Json::parse(read_small_text(path), path);
  if (!std::holds_alternative<Json::Map>(config.content()))
    throw Error(path + ": byte offset 0: a config.json is an object");
  return config;
}

template <class T, class Read>
T get(const HuggingFaceConfig& config, std::string_view key, T otherwise, Read read) {
  const Json* value = config.find(key);
  if (value == nullptr) return otherwise;
  try {
    return read(*value);
  } catch (const Error& error) {
    config.fail(key, std::string("cannot be read: ") + error.what());
  }
}

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

}  // namespace

HuggingFaceConfig::HuggingFaceConfig(const std::string& folder)
    : path_(config_path(folder)), json_(read_config(folder)) {}

HuggingFaceConfig HuggingFaceConfig::part(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr || !std::holds_alternative<Json::Map>(value->content()))
    fail(key, "must be a map");
  return {path_ + ": " + std::string(key), *value};
}

const Json* HuggingFaceConfig::find(std::string_view key) const {
  const Json* value = json_.find(key);
  return value == nullptr || std::holds_alternative<std::nullptr_t>(value->content()) ? nullptr
                                                                                      : value;
}

double HuggingFaceConfig::real(std::string_view key, double otherwise) const {
  return get(*this, key, otherwise, [](const Json& value) { return value.real(); });
}
bool HuggingFaceConfig::flag(std::string_view key, bool otherwise) const {
  return get(*this, key, otherwise, [](const Json& value) { return value.flag(); });
}
std::string HuggingFaceConfig::text(std::string_view key, const std::string& otherwise) const {
  return get(*this, key, otherwise, [](const Json& value) { return value.text(); });
}
int64_t HuggingFaceConfig::size(std::string_view key, int64_t otherwise) const {
  return get(*this, key, otherwise, [](const Json& value) { return value.integer(); });
}
std::vector<int64_t> HuggingFaceConfig::sizes(std::string_view key) const {
  return get(*this, key, std::vector<int64_t>(), [](const Json& value) {
    const auto* list = std::get_if<Json::List>(&value.content());
    if (list == nullptr) return std::vector{value.integer()};
    std::vector<int64_t> sizes;
    for (const Json& item : *list) sizes.push_back(item.integer());
    return sizes;
  });
}

void HuggingFaceConfig::fail(std::string_view key, const std::string& what) const {
  throw Error(path_ + ": key '" + std::string(key) + "' " + what);
}

bool has_huggingface_config(const std::string& folder) {
  std::error_code ignored;
  return fs::exists(config_path(folder), ignored);
}

std::string huggingface_architecture(const HuggingFaceConfig& config) {
  const Json* names = config.find("architectures");
  if (names == nullptr) config.fail("architectures", "is missing");
  const auto* list = std::get_if<Json::List>(&names->content());
  const auto* name = list != nullptr && list->size() == 1
                         ? std::get_if<std::string>(&list->front().content())
                         : nullptr;
  return name != nullptr ? *name : "a list";
}

std::vector<std::string> huggingface_weight_files(const std::string& folder,
                                                  const std::string& pickle_help) {
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
  throw Error(folder + (has_pickles
                            ? ": its weights are pytorch_model.bin, which only PyTorch can read; " +
                                  pickle_help
                            : ": there is neither model.safetensors nor a first shard "
                              "model-00001-of-N.safetensors"));
}

}  // namespace perdure
