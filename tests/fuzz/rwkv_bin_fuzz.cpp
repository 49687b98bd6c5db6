// SPDX-License-Identifier: Apache-2.0

// Any bytes as a file of rwkv.cpp: an Error, or a model whose weights can all be read.
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/api/error.hpp"
#include "core/model/formats/rwkv_bin.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    perdure::is_rwkv_bin(bytes);
    const perdure::Model model = perdure::read_rwkv_bin(bytes, "input");
    model.weights_hash();  // reads every byte of every weight
  } catch (const perdure::Error&) {
  }
  return 0;
}
