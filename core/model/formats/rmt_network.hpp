// SPDX-License-Identifier: Apache-2.0

// Recurrent Memory Transformers of the package recurrent-memory-transformer-pytorch, versions 0.6
// and 0.7: a safetensors file under the names of its state dict ("transformer." in front, as the
// wrapper has them, is allowed), and beside it the arguments of its constructor as JSON.
#pragma once

#include <string>

#include "core/model/formats/safetensors.hpp"
#include "core/model/model.hpp"

namespace perdure {

// Whether the tensors are those of such a network.
bool is_rmt_network(const SafetensorsMap& tensors);

// The model, as core/model/architectures/rmt.hpp describes it; its matrices point into the tensors'
// bytes. The arguments are the object `constructor` of NAME.json beside the file, or of config.json
// in its folder where there is no such file, with the package's defaults; beside it
// `residual_streams_flavor`, "mixed" (the default) or "unmixed", says what the installed
// hyper-connections did. Errors: Error, one sentence with the path and the tensor or JSON key that
// is missing, unknown or does not fit the others.
Model read_rmt_network(const SafetensorsMap& tensors, const std::string& path);

}  // namespace perdure
