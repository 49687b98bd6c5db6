// SPDX-License-Identifier: Apache-2.0

#include "core/model/formats/llama_shards.hpp"

#include "core/api/error.hpp"
#include "core/model/formats/huggingface_folder.hpp"

namespace perdure {

std::vector<SafetensorsFile> open_llama_shards(const std::string& folder) {
  std::vector<SafetensorsFile> shards;
  for (const std::string& path :
       huggingface_weight_files(folder, "convert it to safetensors with the program that made it"))
    shards.emplace_back(path);
  return shards;
}

LlamaTensors no_llama_tensors(const std::string& folder, const LlamaNames& names) {
  return {.path = folder,
          .name_in_file = [&names](const std::string& name) { return names.in_file(name); }};
}

void add_llama_tensor(LlamaTensors& tensors, const LlamaNames& names, const SafetensorsFile& shard,
                      const std::string& name, const SafetensorsTensor& tensor) {
  const LlamaTensor added{.name = name,
                          .path = &shard.path(),
                          .dtype = weight_dtype(name, tensor, shard.path()),
                          .shape = tensor.shape,
                          .data = tensor.bytes.data()};
  if (!tensors.by_name.emplace(names.own(name), added).second)
    throw Error(shard.path() + ": the tensor '" + name + "' is in an earlier file already");
}

Model take_with_shards(ModelBuilder& builder, std::vector<SafetensorsFile>& shards) {
  Model model = builder.take();
  for (SafetensorsFile& shard : shards) ModelBuilder::keep(model, shard.take_file());
  return model;
}

}  // namespace perdure
