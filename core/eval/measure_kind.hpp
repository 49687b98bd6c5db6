// SPDX-License-Identifier: Apache-2.0

// What a measure brings to the table in measure.cpp; one file per measure. Not a public header.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/eval/measure.hpp"

namespace perdure {

// One run: everything that run_measure was given, checked.
struct MeasureRun {
  Engine& engine;
  const MeasureSpec& spec;
  int64_t length;
  const EvalText& text;
  const MeasureProgress& progress;

  int64_t longest() const { return std::max(length, spec.longest); }
};

struct MeasureKind {
  MeasureInfo info;
  // Without controls, which measure.cpp adds.
  std::vector<FigureInfo> (*figures)(const MeasureSpec&);
  int64_t (*tokens)(const MeasureSpec&, int64_t length);
  std::optional<MeasureResult> (*run)(const MeasureRun&);
};

MeasureKind loss_measure();
MeasureKind perplexity_measure();
MeasureKind position_measure();
MeasureKind passkey_measure();
MeasureKind facts_measure();
MeasureKind recall_measure();
MeasureKind copy_measure();
MeasureKind choice_measure();
MeasureKind exact_match_measure();
MeasureKind speed_measure();
MeasureKind time_measure();
MeasureKind ram_measure();
MeasureKind passages_measure();

}  // namespace perdure
