// SPDX-License-Identifier: Apache-2.0

// A model that any number of engines run: mapped once, hashed once, and packed once for each kernel
// that wants weights in a layout of its own.
//
//   const auto model = SharedModel::open("models/fables.bin");
//   Engine a(settings_a, plugins, model), b(settings_b, plugins, model);
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "core/model/model.hpp"
#include "core/runtime/plan.hpp"

namespace perdure {

// Thread safety: any thread; engines that are made at the same time pack in turn. What an engine
// has been given stays where it is, so engines may run while another one is made.
class SharedModel {
 public:
  explicit SharedModel(Model model) : model_(std::move(model)) {}
  // Errors: as Model::open.
  static std::shared_ptr<SharedModel> open(const std::string& path,
                                           const std::string& initial_state = "") {
    return std::make_shared<SharedModel>(Model::open(path, initial_state));
  }

  const Model& model() const { return model_; }
  // Memory that packed weights take beside the mapped ones.
  size_t packed_bytes() const {
    const std::lock_guard lock(packing_);
    return packed_.size_bytes();
  }
  // Gives `use` the packed weights; exclusively, for as long as it runs.
  void with_packed(const std::function<void(PackedWeights& packed)>& use) {
    const std::lock_guard lock(packing_);
    use(packed_);
  }

 private:
  Model model_;
  mutable std::mutex packing_;
  PackedWeights packed_;  // borrows from the model
};

}  // namespace perdure
