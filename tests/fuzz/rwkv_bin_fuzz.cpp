// SPDX-License-Identifier: Apache-2.0

// Any bytes as a file of rwkv.cpp: an Error, or a model whose weights can all be read; the same
// tensors also as they stand in other files, before rwkv.cpp's converter.
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/api/error.hpp"
#include "core/model/formats/rwkv_bin.hpp"

using namespace perdure;

namespace {

void read_as(std::span<const std::byte> bytes, bool converted) {
  try {
    RwkvFile file = read_rwkv_bin_tensors(bytes, "input");
    file.converted = converted;
    rwkv_model(file).weights_hash();  // reads every byte of every weight
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  is_rwkv_bin(bytes);
  for (const bool converted : {true, false}) read_as(bytes, converted);
  return 0;
}
