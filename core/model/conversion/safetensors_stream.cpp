// SPDX-License-Identifier: Apache-2.0

#include "core/model/conversion/safetensors_stream.hpp"

namespace perdure {
namespace {

const char* type_name(perdure_dtype dtype) {
  return dtype == PERDURE_F16 ? "F16" : dtype == PERDURE_BF16 ? "BF16" : "F32";
}

}  // namespace

std::vector<SafetensorsWriter::Declared> declared(std::span<const StreamedTensor> tensors) {
  std::vector<SafetensorsWriter::Declared> declared;
  for (const StreamedTensor& tensor : tensors)
    declared.push_back(
        {tensor.name, type_name(tensor.dtype), {tensor.shape.rbegin(), tensor.shape.rend()}});
  return declared;
}

bool stream_tensors(std::span<const StreamedTensor> tensors, const Model& model,
                    SafetensorsWriter& writer, const KeepGoing& keep_going) {
  const ByteSink sink = [&](std::span<const std::byte> bytes) { writer.write(bytes); };
  for (const StreamedTensor& tensor : tensors)
    if (!stream_tensor(tensor, model, sink, keep_going)) return false;
  writer.verify();
  return true;
}

}  // namespace perdure
