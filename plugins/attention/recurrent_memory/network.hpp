// SPDX-License-Identifier: Apache-2.0

// attention.recurrent_memory for models of the architecture `rmt`, which are made for it: the
// network of recurrent-memory-transformer-pytorch. (Around a llama: recurrent_memory.cpp.)
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/api/strategy.hpp"

namespace perdure {

// Errors: UsageError if an option does not fit the model.
std::unique_ptr<AttentionStrategy> make_recurrent_network(const ModelInfo& model,
                                                          const Options& options,
                                                          std::span<const int64_t> layers);

}  // namespace perdure
