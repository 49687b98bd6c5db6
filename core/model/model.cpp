// SPDX-License-Identifier: Apache-2.0

// The model object. Who reads which file is said in formats/format.cpp.
#include "core/model/model.hpp"

#include <deque>
#include <mutex>
#include <set>
#include <span>
#include <utility>

#include "core/api/error.hpp"
#include "core/base/checked.hpp"
#include "core/base/dtype.hpp"
#include "core/model/architectures/architecture.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/format.hpp"
#include "core/model/weights_hash.hpp"

namespace perdure {

struct Model::Storage {
  std::vector<MappedFile> files;
  // Deques, because weights point into their elements.
  std::deque<std::vector<float>> owned;
  std::deque<std::vector<std::byte>> owned_bytes;
  std::mutex hashing;
  std::string weights_hash;
  std::set<std::string, std::less<>> of_initial_state;  // names of weights
};

Model::Model() : storage_(std::make_unique<Storage>()) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

void ModelBuilder::keep(Model& model, MappedFile file) {
  model.storage_->files.push_back(std::move(file));
}

void ModelBuilder::set_initial_state(Model& model, const std::string& name, int64_t rows,
                                     int64_t columns, std::vector<float> data) {
  model.replace(name, rows, columns, std::move(data));
  model.storage_->of_initial_state.insert(name);
}

Model Model::open(const std::string& path, const std::string& initial_state) {
  Model model = read_model(path);
  if (initial_state.empty()) return model;
  const Architecture& architecture = find_architecture(model.spec().architecture);
  if (architecture.set_initial_state == nullptr)
    throw UsageError("model.initial_state is for RWKV models of versions 5 to 7; sessions of a '" +
                     model.spec().architecture + "' begin with nothing that a file could give");
  architecture.set_initial_state(model, initial_state);
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

void Model::replace(const std::string& name, const Weight& weight, std::vector<std::byte> data,
                    std::vector<float> scales) {
  const int64_t values = checked_mul(weight.rows, weight.columns, name.c_str());
  const int64_t groups = weight.group_size > 0 ? values / weight.group_size : 0;
  if (checked_mul(weight.rows, perdure_row_bytes(weight.dtype, weight.columns), name.c_str()) !=
          static_cast<int64_t>(data.size()) ||
      groups != static_cast<int64_t>(scales.size()))
    throw Error("weight " + name + " [" + std::to_string(weight.rows) + ", " +
                std::to_string(weight.columns) + "] of type " + dtype_name(weight.dtype) +
                " was given " + std::to_string(data.size()) + " bytes and " +
                std::to_string(scales.size()) + " scales");
  Weight& kept = weights_[name] = weight;
  kept.data = storage_->owned_bytes.emplace_back(std::move(data)).data();
  kept.scales = groups > 0 ? storage_->owned.emplace_back(std::move(scales)).data() : nullptr;
  storage_->weights_hash.clear();
}

std::span<const MappedFile> Model::files() const { return storage_->files; }

std::optional<std::string> Model::changed_on_disk() const {
  for (const MappedFile& file : storage_->files)
    if (file.written_since())
      return file.path() +
             " was written to after it was opened; what was computed since is not to be trusted: "
             "start again";
  return std::nullopt;
}

void Model::require_unchanged() const {
  if (const auto changed = changed_on_disk()) throw Error(*changed);
}

const std::string& Model::weights_hash() const {
  const std::lock_guard lock(storage_->hashing);
  if (storage_->weights_hash.empty()) {
    auto weights = weights_;
    for (const std::string& name : storage_->of_initial_state) weights.erase(name);
    storage_->weights_hash = hash_weights(weights, files(), user_weights_cache());
  }
  return storage_->weights_hash;
}

}  // namespace perdure
