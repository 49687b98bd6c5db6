// SPDX-License-Identifier: Apache-2.0

// The model object and the choice of reader. Formats are in llama2c.cpp and safetensors_model.cpp.
#include "core/model/model.hpp"

#include <deque>
#include <optional>
#include <span>
#include <utility>

#include "core/api/error.hpp"
#include "core/base/checked.hpp"
#include "core/base/dtype.hpp"
#include "core/base/hash.hpp"
#include "core/base/mapped_file.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/llama2c.hpp"
#include "core/model/formats/safetensors_model.hpp"

namespace perdure {

struct Model::Storage {
  std::optional<MappedFile> file;
  std::deque<std::vector<float>> owned;  // a deque, because weights point into its elements
  std::string weights_hash;
};

Model::Model() : storage_(std::make_unique<Storage>()) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

void ModelBuilder::keep(Model& model, MappedFile file) {
  model.storage_->file.emplace(std::move(file));
}

namespace {

constexpr size_t kMostOptionsBytes = size_t{1} << 20;

Model open_safetensors(const MappedFile& file) {
  const std::string options_path = safetensors_options_path(file.path());
  const MappedFile options(options_path);
  if (options.bytes().size() > kMostOptionsBytes)
    throw Error(options_path + ": byte offset " + std::to_string(kMostOptionsBytes) +
                ": a model's options take less than 1 MiB");
  const std::string_view text(reinterpret_cast<const char*>(options.bytes().data()),
                              options.bytes().size());
  return read_safetensors_model(file.bytes(), text, file.path());
}

}  // namespace

Model Model::open(const std::string& path) {
  MappedFile file(path);
  Model model =
      path.ends_with(".safetensors") ? open_safetensors(file) : read_llama2c(file.bytes(), path);
  ModelBuilder::keep(model, std::move(file));
  return model;
}

const Weight* Model::find(std::string_view name) const {
  const auto it = weights_.find(name);
  return it == weights_.end() ? nullptr : &it->second;
}

void Model::replace(const std::string& name, int64_t rows, int64_t columns,
                    std::vector<float> data) {
  if (checked_mul(rows, columns, name.c_str()) != static_cast<int64_t>(data.size()))
    throw Error("weight " + name + " [" + std::to_string(rows) + ", " + std::to_string(columns) +
                "] was given " + std::to_string(data.size()) + " values");
  const std::vector<float>& kept = storage_->owned.emplace_back(std::move(data));
  weights_[name] =
      Weight{.dtype = PERDURE_F32, .rows = rows, .columns = columns, .data = kept.data()};
  storage_->weights_hash.clear();
}

namespace {

void add_weight(Hasher& hasher, const std::string& name, const Weight& w) {
  hasher.add(name + ' ' + std::to_string(w.dtype) + ' ' + std::to_string(w.rows) + ' ' +
             std::to_string(w.columns) + ' ' + std::to_string(w.group_size) + '\n');
  const auto bytes = [](const void* data, int64_t size) {
    return std::span(static_cast<const std::byte*>(data), static_cast<size_t>(size));
  };
  hasher.add(bytes(w.data, w.size() * element_bytes(w.dtype)));
  if (w.scales != nullptr) hasher.add(bytes(w.scales, w.size() / w.group_size * 4));
}

}  // namespace

const std::string& Model::weights_hash() const {
  std::string& hash = storage_->weights_hash;
  if (hash.empty()) {
    Hasher hasher;
    for (const auto& [name, weight] : weights_) add_weight(hasher, name, weight);
    hash = hasher.hex();
  }
  return hash;
}

}  // namespace perdure
