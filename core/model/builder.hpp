// SPDX-License-Identifier: Apache-2.0

// How the readers of file formats make a Model: the back door that Model keeps closed for everybody
// else.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mapped_file.hpp"
#include "core/model/model.hpp"

namespace perdure {

// Collects spec and weights; take() hands the model out. Weights borrow from bytes that must
// outlive the model: the file given to keep(), or whatever the caller holds.
class ModelBuilder {
 public:
  ModelSpec& spec() { return model_.spec_; }

  // Requires: no weight of that name yet.
  void add(const std::string& name, const Weight& weight) { model_.weights_.emplace(name, weight); }
  // A weight [rows, columns] that is not in the file in this form; the model owns it.
  void add_owned(const std::string& name, int64_t rows, int64_t columns, std::vector<float> data) {
    model_.replace(name, rows, columns, std::move(data));
  }
  // The same of any plain type: `weight` gives type and shape, its pointers are not read.
  void add_owned(const std::string& name, const Weight& weight, std::vector<std::byte> data) {
    model_.replace(name, weight, std::move(data));
  }
  Model take() { return std::move(model_); }

  // Of a model that a reader changes after another has read it.
  static ModelSpec& spec_of(Model& model) { return model.spec_; }

  // An F32 weight that is the first value of a state and came from a file of its own
  // (model.initial_state): no part of weights_hash(). Takes the place of one that the model has.
  static void set_initial_state(Model& model, const std::string& name, int64_t rows,
                                int64_t columns, std::vector<float> data);

  // Ties the mapping to the model whose weights point into it.
  static void keep(Model& model, MappedFile file);

 private:
  Model model_;
};

}  // namespace perdure
