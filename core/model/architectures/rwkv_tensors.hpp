// SPDX-License-Identifier: Apache-2.0

// The tensors of an RWKV file, looked up by name and checked against the shapes that are asked for;
// what a model is made of is in rwkv_weights.cpp. Remembers which ones were asked for.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/architectures/rwkv.hpp"

namespace perdure {

// Borrows the file. Names are those of BlinkDL's checkpoints; `part` is one without "blocks.N.", of
// the current layer. Errors: Error, one sentence with the path and the tensor, for one that is
// missing, holds nothing, or has another shape or type than is asked for. One thread at a time.
class RwkvTensors {
 public:
  explicit RwkvTensors(const RwkvFile& file) : file_(file) {}

  int64_t layer() const { return layer_; }
  void set_layer(int64_t layer) { layer_ = layer; }
  std::string full_name(const std::string& part) const {
    return "blocks." + std::to_string(layer_) + "." + part;
  }

  bool has(const std::string& part) const { return file_.tensors.contains(full_name(part)); }
  const RwkvTensor& find(const std::string& name) const;
  const RwkvTensor& get(const std::string& part) const { return find(full_name(part)); }
  // The size along the first axis, and the number of all values.
  int64_t first_size(const std::string& part) const;
  int64_t n_values(const std::string& part) const;

  // A matrix of that shape, or of any batch of them; data is borrowed.
  Weight matrix_of(const std::string& name, const std::vector<int64_t>& shape) const;
  // The `n` values of a small tensor, whatever its shape.
  std::vector<float> values_of(const std::string& name, int64_t n) const;

  // Those that were not asked for, in the file's order.
  std::vector<std::string_view> unused() const;

  // Errors: Error, always: of the path and `what`; of a tensor's shape and the one that is needed.
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void wrong_shape(const std::string& name, const std::vector<int64_t>& needed) const;

 private:
  const RwkvFile& file_;
  int64_t layer_ = 0;
  mutable std::set<std::string_view> used_;
};

}  // namespace perdure
