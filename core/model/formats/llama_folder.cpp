// SPDX-License-Identifier: Apache-2.0

// config.json -> a ModelSpec; shards -> one table of tensors under the names of model.hpp.
#include "core/model/formats/llama_folder.hpp"

#include <algorithm>
#include <array>

#include "core/api/error.hpp"
#include "core/base/shown_name.hpp"
#include "core/model/builder.hpp"
#include "core/model/formats/format.hpp"
#include "core/model/formats/huggingface_folder.hpp"
#include "core/model/formats/llama_config.hpp"
#include "core/model/formats/llama_shards.hpp"

namespace perdure {
namespace {

// CEPE's class for RePlug is a llama.
constexpr std::array kArchitectures = {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM",
                                       "Qwen3ForCausalLM", "LlamaForReplugCausalLM"};

std::string find_architecture(const HuggingFaceConfig& config) {
  const std::string name = huggingface_architecture(config);
  if (std::ranges::count(kArchitectures, name) == 0)
    config.fail("architectures",
                "is '" + shown_name(name) +
                    "', which cannot be read; LlamaForCausalLM, MistralForCausalLM, "
                    "Qwen2ForCausalLM and Qwen3ForCausalLM can");
  return name;
}

LlamaTensors tensors_of(const std::string& folder, const std::vector<SafetensorsFile>& shards,
                        bool tied) {
  LlamaTensors tensors = no_llama_tensors(folder, kHuggingFaceNames);
  for (const SafetensorsFile& shard : shards)
    for (const auto& [name, tensor] : shard.tensors())
      // With tied embeddings a copy of the embedding that is not read.
      if (!tied || name != "lm_head.weight")
        add_llama_tensor(tensors, kHuggingFaceNames, shard, name, tensor);
  return tensors;
}

}  // namespace

Model read_llama_folder(const std::string& folder) {
  const HuggingFaceConfig config(folder);
  ModelBuilder builder;
  builder.spec() = llama_spec(config, find_architecture(config));
  std::vector<SafetensorsFile> shards = open_llama_shards(folder);
  const bool tied = config.flag("tie_word_embeddings", false);
  const LlamaTensors tensors = tensors_of(folder, shards, tied);
  if (!tied && !tensors.by_name.contains("output.weight"))
    throw Error(folder + ": the tensor 'lm_head.weight' is missing, and config.json does not say " +
                "that it is the embedding (tie_word_embeddings)");
  add_llama_weights(tensors, builder);
  return take_with_shards(builder, shards);
}

ModelFormat llama_folder_format() {
  return {.recognises =
              [](const ModelSource& source) {
                return source.is_folder() && has_huggingface_config(source.path);
              },
          .read = [](ModelSource source) { return read_llama_folder(source.path); }};
}

}  // namespace perdure
