// SPDX-License-Identifier: Apache-2.0

// What folders of Hugging Face's transformers have in common: config.json, and safetensors in one
// file or in shards.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/json/json.hpp"

namespace perdure {

// What config.json says, with errors that name file and key.
class HuggingFaceConfig {
 public:
  // Of a folder; "" is the current one. Errors: Error if there is none or it is no JSON of at most
  // 256 KiB.
  explicit HuggingFaceConfig(const std::string& folder);

  // The map under `key`, with errors that name both. Errors: Error if there is none.
  HuggingFaceConfig part(std::string_view key) const;

  const std::string& path() const { return path_; }
  std::string folder() const { return std::filesystem::path(path_).parent_path().string(); }
  // nullptr: not there, or null.
  const Json* find(std::string_view key) const;
  // `otherwise` if it is not there. Errors: Error if it is of another type.
  double real(std::string_view key, double otherwise) const;
  bool flag(std::string_view key, bool otherwise) const;
  std::string text(std::string_view key, const std::string& otherwise) const;
  int64_t size(std::string_view key, int64_t otherwise) const;
  // A whole number, or a list of them; none if it is not there.
  std::vector<int64_t> sizes(std::string_view key) const;

  [[noreturn]] void fail(std::string_view key, const std::string& what) const;

 private:
  HuggingFaceConfig(std::string path, Json json) : path_(std::move(path)), json_(std::move(json)) {}

  std::string path_;
  Json json_;
};

// Whether the folder has a config.json.
bool has_huggingface_config(const std::string& folder);

// The only entry of `architectures`, "a list" if there are others. Errors: Error if it is missing.
std::string huggingface_architecture(const HuggingFaceConfig& config);

// The files that hold the tensors. Errors: Error if there are none that can be read; `pickle_help`
// says what to do with PyTorch's.
std::vector<std::string> huggingface_weight_files(const std::string& folder,
                                                  const std::string& pickle_help);

}  // namespace perdure
