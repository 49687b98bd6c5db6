// SPDX-License-Identifier: Apache-2.0

// The options of attention.parallel_encoding, checked and with the model's values filled in.
#pragma once

#include <cstdint>
#include <vector>

#include "core/api/options.hpp"
#include "sdk/rotary_attention.hpp"

namespace perdure {

struct ParallelOptions {
  RotaryOptions rotary;
  bool absorbed = false;     // no keys and values of contexts: heads attend to the encoder's rows
  int64_t chunk = 0;         // most tokens of a chunk
  int64_t query = 0;         // tokens of the text behind each chunk
  bool keeps_query = true;   // the text sees the states of those as well
  int64_t batch = 0;         // chunks that pass through the encoder together; 0: a step's rows
  int64_t max_contexts = 0;  // most tokens of all contexts
  int64_t max_length = 0;
};

std::vector<OptionSpec> parallel_option_specs();
// Errors: UsageError for a model without cross-attention, and if options contradict each other or
// the model.
ParallelOptions read_parallel_options(const ModelInfo& model, const Options& options);

}  // namespace perdure
