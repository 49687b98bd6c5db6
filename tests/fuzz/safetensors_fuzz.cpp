// SPDX-License-Identifier: Apache-2.0

// Any bytes as a safetensors model: u16 length of the options, the options, the file.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/api/error.hpp"
#include "core/model/formats/safetensors.hpp"
#include "core/model/formats/safetensors_model.hpp"
#include "core/model/formats/weight_values.hpp"

using namespace perdure;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t length = std::min<size_t>(data[0] | data[1] << 8, size - 2);
  const std::string_view options(reinterpret_cast<const char*>(data) + 2, length);
  const std::span<const std::byte> file = std::as_bytes(std::span(data, size)).subspan(2 + length);
  try {
    size_t covered = 0;
    for (const auto& [name, tensor] : read_safetensors(file, "input"))
      covered += tensor.bytes.size();
    if (covered > file.size()) __builtin_trap();
    const Model model = read_safetensors_model(file, options, "input");
    model.weights_hash();
    for (const auto& [name, weight] : model.weights()) weight_values(weight);
  } catch (const Error&) {
  }
  return 0;
}
