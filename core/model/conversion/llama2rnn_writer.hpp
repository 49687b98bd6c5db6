// SPDX-License-Identifier: Apache-2.0

// Writes a llama, with or without a memory, as a safetensors file under llama2Rnn's names with its
// options as JSON beside it: the one format that holds all of llama2Rnn's models.
#pragma once

#include <optional>
#include <string>

#include "core/base/write_file.hpp"
#include "core/model/conversion/tensor_stream.hpp"

namespace perdure {

// Writes `path` and the JSON beside it (safetensors_options_path), each complete or not at all,
// once the weights have been read back as the same model. `dtype`: F32, F16 or BF16 for all
// matrices but initial states; nothing: as they are, quantised ones as F32. False if `keep_going`
// asked to stop: then nothing is left. Errors: Error, one sentence, naming what these files cannot
// hold, or the path.
bool write_llama2rnn(const Model& model, const std::string& path,
                     std::optional<perdure_dtype> dtype, FileRules rules,
                     const KeepGoing& keep_going);

}  // namespace perdure
