// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/rwkv_safetensors.hpp"

#include <charconv>
#include <cmath>

#include "core/api/error.hpp"
#include "core/base/shown_name.hpp"
#include "core/model/architectures/rwkv.hpp"

namespace perdure {
namespace {

// The number of that name; `otherwise` if there is none or it says "None", as exporters write it
// for versions that have no group norm.
double metadata_number(const SafetensorsMetadata& metadata, std::string_view name, double otherwise,
                       const std::string& path) {
  const auto it = metadata.find(name);
  if (it == metadata.end() || it->second == "None") return otherwise;
  double number = 0.0;
  const char* end = it->second.data() + it->second.size();
  const auto [parsed, status] = std::from_chars(it->second.data(), end, number);
  if (status != std::errc() || parsed != end || !std::isfinite(number) || number <= 0)
    throw Error(path + ": the metadata '" + std::string(name) + "' is '" + shown_name(it->second) +
                "' but must be a number above 0");
  return number;
}

}  // namespace

RwkvTensor rwkv_tensor(const std::string& name, const SafetensorsTensor& tensor,
                       const std::string& path) {
  return {tensor.shape, {.dtype = weight_dtype(name, tensor, path), .data = tensor.bytes.data()}};
}

bool is_rwkv(const SafetensorsMap& tensors) { return has_prefix(tensors, kRwkvTensorPrefix); }

Model read_rwkv_safetensors(const SafetensorsMap& tensors, const SafetensorsMetadata& metadata,
                            const std::string& path) {
  RwkvFile file{.path = path, .format = "safetensors"};
  for (const auto& [name, tensor] : tensors) file.tensors[name] = rwkv_tensor(name, tensor, path);
  const double eps = metadata_number(metadata, "gn_eps", kRwkvGroupNormEps, path);
  file.group_norm_eps = [eps](int64_t, int64_t) { return eps; };
  return rwkv_model(file);
}

}  // namespace perdure
