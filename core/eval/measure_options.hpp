// SPDX-License-Identifier: Apache-2.0

// Options of measures as they are written in a configuration: which measure has which, and from
// their text to a MeasureSpec.
#pragma once

#include <span>
#include <string>

#include "core/config/comparison.hpp"
#include "core/eval/measure.hpp"

namespace perdure {

// An option of measures, with the value it has if nothing is written; lists are text, items with
// ',' between them.
struct MeasureOption {
  OptionSpec spec;
  void (*set)(MeasureSpec& spec, const OptionValue& value);
};

// Every option there is; MeasureInfo::options names those of a measure. Pure; any thread.
std::span<const MeasureOption> measure_options();

// The measure as written, over `defaults` (samples, seed and longest of the comparison).
// `directory`: what a relative path of tasks is relative to. Errors: UsageError with place for a
// measure that there is not, options it does not have, and values that cannot be.
MeasureSpec measure_spec(const MeasureChoice& choice, const MeasureSpec& defaults,
                         const std::string& directory);

}  // namespace perdure
