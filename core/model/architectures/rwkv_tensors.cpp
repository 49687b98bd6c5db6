// SPDX-License-Identifier: Apache-2.0

#include "core/model/architectures/rwkv_tensors.hpp"

#include "core/api/error.hpp"
#include "core/base/checked.hpp"
#include "core/base/dtype.hpp"
#include "core/base/shape_text.hpp"
#include "core/model/formats/weight_values.hpp"

namespace perdure {
namespace {

int64_t count_values(const RwkvTensor& tensor, const std::string& name) {
  int64_t n = 1;
  for (const int64_t size : tensor.shape) n = checked_mul(n, size, name.c_str());
  return n;
}

}  // namespace

void RwkvTensors::fail(const std::string& what) const { throw Error(file_.path + ": " + what); }

void RwkvTensors::wrong_shape(const std::string& name, const std::vector<int64_t>& needed) const {
  fail("the tensor '" + name + "' has the shape " + shape_text(find(name).shape) + " but " +
       shape_text(needed) + " is needed");
}

const RwkvTensor& RwkvTensors::find(const std::string& name) const {
  const auto it = file_.tensors.find(name);
  if (it == file_.tensors.end()) fail("the tensor '" + name + "' is missing");
  used_.insert(it->first);
  if (count_values(it->second, name) == 0)
    fail("the tensor '" + name + "' has the shape " + shape_text(it->second.shape) +
         ", which holds nothing");
  return it->second;
}

int64_t RwkvTensors::first_size(const std::string& part) const {
  const RwkvTensor& tensor = get(part);
  return tensor.shape.empty() ? 1 : tensor.shape.front();
}

int64_t RwkvTensors::n_values(const std::string& part) const {
  return count_values(get(part), part);
}

Weight RwkvTensors::matrix_of(const std::string& name, const std::vector<int64_t>& shape) const {
  const RwkvTensor& tensor = find(name);
  if (tensor.shape != shape) wrong_shape(name, shape);
  Weight weight = tensor.weight;
  weight.columns = shape.back();
  weight.rows = count_values(tensor, name) / weight.columns;
  if (perdure_row_bytes(weight.dtype, weight.columns) == 0)
    fail("the tensor '" + name + "' has rows of " + std::to_string(weight.columns) +
         " values, which its type " + dtype_name(weight.dtype) + " cannot store");
  return weight;
}

std::vector<float> RwkvTensors::values_of(const std::string& name, int64_t n) const {
  const RwkvTensor& tensor = find(name);
  if (count_values(tensor, name) != n) wrong_shape(name, {n});
  Weight weight = tensor.weight;
  if (perdure_block_values(weight.dtype) != 1)
    fail("the tensor '" + name + "' has the type " + dtype_name(weight.dtype) +
         "; vectors are F32, F16 or BF16");
  weight.rows = 1;
  weight.columns = n;
  return weight_values(weight);
}

std::vector<std::string_view> RwkvTensors::unused() const {
  std::vector<std::string_view> names;
  for (const auto& [name, tensor] : file_.tensors)
    if (!used_.contains(name)) names.emplace_back(name);
  return names;
}

}  // namespace perdure
