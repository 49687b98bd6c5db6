// SPDX-License-Identifier: Apache-2.0

// The weights of llama's family from any file that names its tensors: every shape is checked
// against the sizes, vectors become F32, and what has no meaning is refused.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/builder.hpp"

namespace perdure {

// A tensor of a file; names, path and data are borrowed.
struct LlamaTensor {
  std::string_view name;  // in its file
  const std::string* path = nullptr;
  int64_t offset = -1;  // of its description in the file, for messages; -1: not known
  perdure_dtype dtype = PERDURE_F32;
  std::vector<int64_t> shape = {};  // in the order of the file
  const void* data = nullptr;
};

struct LlamaTensors {
  std::string path;            // of the file or folder, for messages
  bool columns_first = false;  // in shapes: GGUF's order
  // What the file calls a tensor that is missing.
  std::function<std::string(const std::string& name)> name_in_file = {};
  std::map<std::string, LlamaTensor, std::less<>> by_name = {};  // by the names of model.hpp
};

// Adds the weights to the builder, whose spec is complete. Errors: Error with the place and the
// name of the tensor that is missing, of another shape or type, or of no meaning.
void add_llama_weights(const LlamaTensors& tensors, ModelBuilder& builder);
// The same for another llama within the model: `spec` are its sizes, and `prefix` stands before the
// names of its weights in the builder.
void add_llama_weights(const LlamaTensors& tensors, const ModelSpec& spec,
                       const std::string& prefix, ModelBuilder& builder);

// The values of a vector, F32; empty if there is none of that name. Errors: as add_llama_weights.
std::vector<float> llama_vector(const LlamaTensors& tensors, const std::string& name,
                                int64_t columns);

}  // namespace perdure
