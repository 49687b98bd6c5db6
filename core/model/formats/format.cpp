// SPDX-License-Identifier: Apache-2.0

// The table of model formats.
#include "core/model/formats/format.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "core/api/error.hpp"
#include "core/model/formats/huggingface_cache.hpp"

namespace perdure {

// One line each; the definition is in the file of its name.
ModelFormat foreign_format();
ModelFormat safetensors_format();
ModelFormat rwkv_bin_format();
ModelFormat rwkv_folder_format();
ModelFormat cepe_folder_format();
ModelFormat llama_folder_format();
ModelFormat torch_checkpoint_format();
ModelFormat gguf_format();
ModelFormat llama2c_format();

Model read_model(const std::string& path) {
  // Asked in this order. llama2.c's first version begins with no mark and comes last.
  static const ModelFormat table[] = {
      foreign_format(),          safetensors_format(), rwkv_bin_format(),
      rwkv_folder_format(),      cepe_folder_format(), llama_folder_format(),
      torch_checkpoint_format(), gguf_format(),        llama2c_format(),
  };
  if (is_huggingface_name(path)) return read_model(resolve_huggingface_name(path));
  ModelSource source{path, std::nullopt};
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) source.file.emplace(path);
  const auto* format =
      std::ranges::find_if(table, [&](const ModelFormat& f) { return f.recognises(source); });
  if (format == std::end(table))
    throw Error("cannot read " + path +
                ": it is a directory that holds no model of a known format; name the model file");
  return format->read(std::move(source));
}

}  // namespace perdure
