// SPDX-License-Identifier: Apache-2.0

// First states of RWKV ("state tuning"): a matrix per head and layer, in a checkpoint or in a file
// of its own. From version 5 to 7 the files have them alike, values outside, keys inside.
#include <cmath>
#include <set>
#include <string>

#include "core/api/error.hpp"
#include "core/base/checked.hpp"
#include "core/base/hash.hpp"
#include "core/base/shape_text.hpp"
#include "core/model/architectures/rwkv.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/format.hpp"
#include "core/model/formats/rwkv_safetensors.hpp"
#include "core/model/formats/weight_values.hpp"

namespace perdure {

ModelFormat foreign_format();  // formats/foreign_file.cpp
ModelFormat torch_checkpoint_format();

namespace {

// What a session may keep: beyond it a snapshot would be refused.
constexpr float kLargest = 1e30f;
constexpr std::string_view kVersionKey = "rwkv_version";

void check_values(const std::vector<float>& values, const std::string& what) {
  for (const float value : values)
    if (!(std::fabs(value) <= kLargest))
      throw Error(what + " has a value that is not finite or beyond 1e30");
}

std::string state_name(int64_t layer) {
  return "blocks." + std::to_string(layer) + ".att.time_state";
}

// A file with the states of all layers and nothing else.
class StateFile {
 public:
  StateFile(const std::string& path, const MappedFile& file) : path_(path) {
    tensors_ = read_safetensors(file.bytes(), path, &metadata_);
  }

  void check(const ModelInfo& info) const {
    const auto version = metadata_.find(kVersionKey);
    const std::string own = std::to_string(info.size("rwkv.version", 0));
    if (version != metadata_.end() && version->second != own)
      fail("this is a state of RWKV " + version->second + ", but the model is RWKV " + own);
    std::set<std::string> expected;
    for (int64_t layer = 0; layer < info.num_hidden_layers; ++layer)
      expected.insert(state_name(layer));
    for (const auto& [name, tensor] : tensors_)
      if (!expected.contains(name))
        fail("the tensor '" + name +
             "' is not a state of the model's layers; a state file has blocks.N.att.time_state "
             "for N from 0 to " +
             std::to_string(info.num_hidden_layers - 1) + " and nothing else");
  }

  std::vector<float> of_layer(int64_t layer, const ModelInfo& info) const {
    const std::string name = state_name(layer);
    const auto it = tensors_.find(name);
    if (it == tensors_.end())
      fail("the tensor '" + name + "' is missing; the model has " +
           std::to_string(info.num_hidden_layers) + " layers");
    return rwkv_first_state(rwkv_tensor(name, it->second, path_), path_, name,
                            info.num_attention_heads, info.head_size);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Error(path_ + ": " + what); }

  const std::string& path_;
  SafetensorsMetadata metadata_;
  SafetensorsMap tensors_;
};

// Errors: Error that says what the file is, where it is none that a state could be in.
MappedFile open_state(const std::string& path) {
  ModelSource source{path, MappedFile(path)};
  for (const ModelFormat& format : {foreign_format(), torch_checkpoint_format()})
    if (format.recognises(source)) format.read(std::move(source));
  return std::move(*source.file);
}

}  // namespace

std::vector<float> rwkv_first_state(const RwkvTensor& tensor, const std::string& path,
                                    const std::string& name, int64_t n_heads, int64_t head_size) {
  const std::string what = path + ": the tensor '" + name + "'";
  const std::vector<int64_t> needed = {n_heads, head_size, head_size};
  if (tensor.shape != needed)
    throw Error(what + " has the shape " + shape_text(tensor.shape) + " but " + shape_text(needed) +
                " is needed");
  Weight weight = tensor.weight;
  weight.columns = head_size;
  weight.rows = checked_mul(n_heads, head_size, name.c_str());
  const std::vector<float> stored = weight_values(weight);
  check_values(stored, what);
  std::vector<float> start(stored.size());
  for (int64_t key = 0; key < weight.rows; ++key)
    for (int64_t value = 0; value < head_size; ++value)
      start[static_cast<size_t>(key * head_size + value)] = stored[static_cast<size_t>(
          (key / head_size * head_size + value) * head_size + key % head_size)];
  return start;
}

void set_rwkv_initial_state(Model& model, const std::string& path) {
  ModelSpec& spec = ModelBuilder::spec_of(model);
  if (spec.info.size("rwkv.version", 0) < kFirstVersionWithMatrices)
    throw UsageError(
        "model.initial_state: version 4 of RWKV keeps vectors, and a state file has matrices for "
        "versions 5 to 7");
  const MappedFile mapped = open_state(path);
  const StateFile file(path, mapped);
  file.check(spec.info);
  Hasher hasher;
  for (int64_t layer = 0; layer < spec.info.num_hidden_layers; ++layer) {
    std::vector<float> start = file.of_layer(layer, spec.info);
    hasher.add(std::as_bytes(std::span(start)));
    ModelBuilder::set_initial_state(model, "blk." + std::to_string(layer) + ".wkv_start",
                                    spec.info.num_attention_heads * spec.info.head_size,
                                    spec.info.head_size, std::move(start));
  }
  spec.info.sizes["rwkv.tuned_states"] = 1;
  spec.initial_state = hasher.hex();
}

}  // namespace perdure
