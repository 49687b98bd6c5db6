// SPDX-License-Identifier: Apache-2.0

// Ways of llama2Rnn (specification, section 4) to bring places into attention that are kept for its
// models and for comparisons, and that are otherwise unused: places that wrap around (`rotate`) or
// are clipped (`PEClip`), angles without sign (`freqsAbs`), sums in the place of rotations
// (`sumCis`), and places beside the input of the projections (`ConcatPE`). Its other rare forms are
// a base
// (`rope_scaling: radix`) and layers without places (`positions: none` in some layers).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sdk/rotary_attention.hpp"

namespace perdure {

struct RareOptions {
  std::string positions = "absolute";  // absolute, none, wrapped or clipped
  bool freqs_abs = false, sum_cis = false, concat_pe = false;
};

std::vector<OptionSpec> rare_option_specs();
RareOptions read_rare_options(const Options& options);

class RareRotary {
 public:
  // Errors: UsageError if wrapped or clipped places lack a length.
  RareRotary(const RareOptions& options, const RotaryOptions& rotary);

  bool needs_eval_length() const { return options_.positions == "clipped"; }

  // The place by which a row at `place` [rows, 1] is rotated.
  Value index(GraphBuilder& g, Value place) const;

  // What RotaryProjections applies angles by; empty for the model's own rotation.
  Turn turn() const;

  // x [rows, d], or with concat_pe [rows, d + head_size]: x and the cosines and sines of its place.
  // Errors: Error if the projections of `layer` have another width.
  Value input(GraphBuilder& g, const RotaryProjections& projections, int64_t layer, Value x,
              Value place) const;

 private:
  RareOptions options_;
  int64_t train_length_ = 0;
  int64_t clipped_ = 0;  // places that are all place 0
};

std::vector<Operation> rare_operations();
std::span<const perdure_kernel> rare_kernels();

}  // namespace perdure
