// SPDX-License-Identifier: Apache-2.0

// Any bytes as a llama2.c checkpoint: an Error, or a model whose weights can all be read.
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/api/error.hpp"
#include "core/model/formats/llama2c.hpp"
#include "core/model/formats/weight_values.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const perdure::Model model =
        perdure::read_llama2c(std::as_bytes(std::span(data, size)), "input");
    model.weights_hash();
    for (const auto& [name, weight] : model.weights()) perdure::weight_values(weight);
  } catch (const perdure::Error&) {
  }
  return 0;
}
