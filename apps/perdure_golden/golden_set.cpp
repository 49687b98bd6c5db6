// SPDX-License-Identifier: Apache-2.0

// Implements apps/perdure_golden/golden_set.hpp.
#include "apps/perdure_golden/golden_set.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/api/error.hpp"
#include "core/model/formats/safetensors.hpp"

namespace perdure::golden {
namespace {

// Copies the values; golden tensors are F32, I32 or U8.
Tensor read_tensor(const SafetensorsTensor& source, const std::string& what) {
  Tensor t;
  t.shape = source.shape;
  const size_t count = source.bytes.size() / 4;
  if (source.dtype == "F32") {
    t.reals.resize(count);
    std::memcpy(t.reals.data(), source.bytes.data(), source.bytes.size());
  } else if (source.dtype == "I32") {
    t.integers.resize(count);
    std::memcpy(t.integers.data(), source.bytes.data(), source.bytes.size());
  } else if (source.dtype == "U8") {
    for (const std::byte value : source.bytes) t.integers.push_back(std::to_integer<int>(value));
  } else {
    throw Error(what + ": golden tensors are F32, I32 or U8, not " + source.dtype);
  }
  return t;
}

}  // namespace

std::map<std::string, Tensor> read_tensors(const std::string& path) {
  const SafetensorsFile file(path);
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, tensor] : file.tensors())
    tensors.emplace(name, read_tensor(tensor, path + ": " + name));
  return tensors;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(path + ": cannot be opened");
  return {std::istreambuf_iterator<char>(in), {}};
}

const Tensor& Case::tensor(const std::string& tensor_name) const {
  const auto found = tensors.find(tensor_name);
  if (found == tensors.end()) throw Error(name + ": no tensor \"" + tensor_name + "\"");
  return found->second;
}

std::string Case::file(const std::string& file_name) const {
  return read_file(folder + "/" + file_name);
}

Set::Set(std::string folder) : folder_(std::move(folder)) {
  const std::string index_path = path("index.json");
  const Json index = Json::parse(read_file(index_path), index_path);
  for (const Json& entry : index.list()) names_.push_back(entry.at("name").text());

  const std::string noise = path("reference_noise.json");
  const Json figures = Json::parse(read_file(noise), noise);
  for (const auto& [name, entry] : figures.map()) {
    const Noise n{entry.at("max_abs").real(), entry.at("mean_abs").real()};
    noise_[name] = n;
    Noise& of_model = noise_of_model_[load(name).json.at("model").text()];
    of_model = {std::max(of_model.max_abs, n.max_abs), std::max(of_model.mean_abs, n.mean_abs)};
  }
}

Case Set::load(const std::string& name) const {
  Case c;
  c.folder = path("cases/" + name);
  const std::string description = c.folder + "/case.json";
  c.json = Json::parse(read_file(description), description);
  c.name = name;
  c.kind = c.json.at("kind").text();
  const std::string tensors = c.folder + "/golden.safetensors";
  if (std::filesystem::exists(tensors)) c.tensors = read_tensors(tensors);
  return c;
}

std::optional<Noise> Set::noise(const std::string& case_name, const std::string& model) const {
  if (const auto own = noise_.find(case_name); own != noise_.end()) return own->second;
  if (const auto any = noise_of_model_.find(model); any != noise_of_model_.end())
    return any->second;
  return std::nullopt;
}

}  // namespace perdure::golden
