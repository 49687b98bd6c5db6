// SPDX-License-Identifier: Apache-2.0

// Models as llama2Rnn's training program keeps them: a safetensors file under torch's state-dict
// names, and beside it NAME.json whose object "args" holds the options under llama2Rnn's own names.
// Options decide which weights are used.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "core/model/model.hpp"

namespace perdure {

// models/x.safetensors -> models/x.json
std::string safetensors_options_path(const std::string& path);

// A model whose weights point into `bytes`, which must outlive it; `options` is the text of the
// JSON. Tensors that the options do not use are passed over. `path` only stands in messages.
// Errors: Error that names the tensor and its shapes, or the JSON key.
Model read_safetensors_model(std::span<const std::byte> bytes, std::string_view options,
                             const std::string& path);

}  // namespace perdure
