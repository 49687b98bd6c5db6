// SPDX-License-Identifier: Apache-2.0

// Reader of the llama2.c checkpoints v0, v1, v2 and of llama2Rnn's v2 with memory, recognised by
// their headers.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "core/model/formats/llama2c_layout.hpp"
#include "core/model/model.hpp"

namespace perdure {

// The checked header. Errors: Error with `path` and byte offset. Pure; any thread.
Llama2cHeader read_llama2c_header(std::span<const std::byte> bytes, const std::string& path);

// A model whose weights point into `bytes`, which must outlive it. `path` only stands in messages.
// Errors: Error with `path` and byte offset; the size of the file must be exact.
Model read_llama2c(std::span<const std::byte> bytes, const std::string& path);

}  // namespace perdure
