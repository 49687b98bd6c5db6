// SPDX-License-Identifier: Apache-2.0

// Writes a model of llama's family as a folder of Hugging Face's transformers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/model/conversion/tensor_stream.hpp"

namespace perdure {

struct LlamaFolderOptions {
  // F32, F16 or BF16 for all matrices; nothing: as they are, quantised ones as F32.
  std::optional<perdure_dtype> dtype = {};
  std::string tokenizer = {};  // file of the vocabulary, or empty
};

// Writes config.json, model.safetensors and the vocabulary into a folder of another name beside
// `path`, reads the model back, and gives the folder its name. False if `keep_going` asked to stop:
// then nothing is left. Sentences for people go to `notes`.
// Errors: Error if something is at `path` that is no empty folder, if the folder cannot hold what
// the model is, or the disk refuses; then nothing is left.
bool write_llama_folder(const Model& model, const std::string& path,
                        const LlamaFolderOptions& options, const KeepGoing& keep_going,
                        std::vector<std::string>& notes);

}  // namespace perdure
