// SPDX-License-Identifier: Apache-2.0

// The options of attention.full, and which of them go together.
#pragma once

#include <vector>

#include "plugins/attention/full/rare_rotary.hpp"
#include "sdk/distances.hpp"

namespace perdure {

struct FullOptions {
  RotaryOptions rotary;
  Distances distances;
  RareOptions rare;
  int64_t max_length = 0;
  int64_t window = 0;          // 0 = all
  int64_t sinks = 0;           // first tokens that stay visible
  int64_t full_tail = 0;       // last positions of the text that see all
  int64_t sees_all_from = -1;  // the first of them; -1 = none

  bool needs_eval_length() const {
    return full_tail > 0 || rotary.scaling.needs_eval_length || distances.needs_eval_length();
  }
};

std::vector<OptionSpec> full_option_specs();

// Errors: UsageError, one sentence, for what is missing, acts on nothing, or contradicts itself.
FullOptions read_full_options(const ModelInfo& model, const Options& options);

}  // namespace perdure
