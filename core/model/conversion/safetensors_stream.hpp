// SPDX-License-Identifier: Apache-2.0

// Tensors on their way into a safetensors file.
#pragma once

#include <span>
#include <vector>

#include "core/model/conversion/tensor_stream.hpp"
#include "core/model/formats/safetensors.hpp"

namespace perdure {

// What the header says of them. Requires: types that safetensors has (F32, F16, BF16).
std::vector<SafetensorsWriter::Declared> declared(std::span<const StreamedTensor> tensors);

// Writes them and reads the file back; close() is left to the caller. False if `keep_going` asked
// to stop. Requires: a writer of what is `declared`. Errors: as stream_tensor.
bool stream_tensors(std::span<const StreamedTensor> tensors, const Model& model,
                    SafetensorsWriter& writer, const KeepGoing& keep_going);

}  // namespace perdure
