// SPDX-License-Identifier: Apache-2.0

// What GGUF files of llama, qwen2 and qwen3 say, as llama.cpp writes them: sizes under the
// architecture's keys, tensors under GGUF's names, queries and keys of llama with adjacent values
// of a head turning together, those of the others by halves.
#pragma once

#include <span>

#include "core/model/formats/gguf.hpp"
#include "core/model/model.hpp"

namespace perdure {

// The model of one file, or of the parts of a split one in their order, the first of which has the
// metadata. Matrices point into the files' bytes; scalings of the rotation and a window are in
// spec().strategy_options. Errors: Error, one sentence with the path and the key or tensor that is
// missing, contradicts others or is not supported.
Model read_gguf_model(std::span<const Gguf> parts);

}  // namespace perdure
