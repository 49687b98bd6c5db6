// SPDX-License-Identifier: Apache-2.0

// What config.json says of a model of llama's family: sizes, tokens, and as options of strategies
// the scaling of the rotation and the window. Only keys that transformers gives a meaning are read.
#pragma once

#include <string>

#include "core/model/formats/huggingface_folder.hpp"
#include "core/model/model.hpp"

namespace perdure {

// `architecture`: which of the family it is, as config.json's "architectures" calls it. Errors:
// Error, one sentence with the path and the key that is missing, contradicts others or is not
// supported.
ModelSpec llama_spec(const HuggingFaceConfig& config, const std::string& architecture);

}  // namespace perdure
