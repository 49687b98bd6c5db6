// SPDX-License-Identifier: Apache-2.0

// rwkv.cpp's `.bin`: six integers, then tensor records in any order until the file ends. Reads
// versions 100 and 101 with FP32, FP16, Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0; nothing is copied here.
// What its converter has done to the values is undone by rwkv_model.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "core/model/architectures/rwkv.hpp"
#include "core/model/model.hpp"

namespace perdure {

// Whether bytes begin as such a file does.
bool is_rwkv_bin(std::span<const std::byte> bytes);

// The tensors, which point into `bytes`. The sizes that the header states are those of the
// embedding, and the names those of as many layers.
// Errors: Error with path and byte offset, or the tensor's name.
RwkvFile read_rwkv_bin_tensors(std::span<const std::byte> bytes, const std::string& path);

// The model. Errors: as read_rwkv_bin_tensors and rwkv_model.
Model read_rwkv_bin(std::span<const std::byte> bytes, const std::string& path);

}  // namespace perdure
