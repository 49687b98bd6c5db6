// SPDX-License-Identifier: Apache-2.0

// What GGUF files of rwkv6 and rwkv7 hold, as llama.cpp names and stores it: BlinkDL's tensors with
// low-rank matrices transposed and, in some files, matrices that write to the residual stream
// halved every few layers.
#pragma once

#include <span>

#include "core/model/formats/gguf.hpp"
#include "core/model/model.hpp"

namespace perdure {

// Whether the file says that its architecture is rwkv6 or rwkv7.
bool is_gguf_rwkv(const Gguf& file);

// The model of one file, or of the parts of a split one in their order, the first of which has the
// metadata. Matrices point into the files' bytes, but for those that were halved. Errors: Error,
// one sentence with the path and the key or tensor that is missing, contradicts others or is not
// supported.
Model read_gguf_rwkv(std::span<const Gguf> parts);

}  // namespace perdure
