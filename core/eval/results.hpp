// SPDX-License-Identifier: Apache-2.0

// What a comparison found: plain data, written to results.json (what is the same everywhere) and
// measured.json (times and bytes), read by the tables, the pictures and the report. Both files have
// this form. The text is deterministic byte for byte; numbers are the shortest that read back to
// the same bits, and what is not finite is null.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/eval/figures.hpp"
#include "core/eval/measure.hpp"

namespace perdure {

// Where and when a figure of the machine was measured.
struct Circumstances {
  std::string cpu;      // its model
  std::string isa;      // instruction sets that kernels may use here
  int64_t threads = 0;  // of the engine
  double load = 0;      // average of the last minute, before the measurement began
  std::string date;     // "2026-11-27T15:44:00Z"
  std::string version;  // of this program, with its commit
};

struct ComparedEntry {
  std::string name;   // shown
  std::string model;  // file name, no folder
  std::string weights_hash;
  int64_t train_length = 0;
  bool constant_memory = false;
  std::string configuration;  // effective, YAML
  std::string configuration_hash;
  // Libraries that are no part of this program and took part: "attention.mine libmine.so HASH".
  std::vector<std::string> libraries = {};
};

struct ComparedCell {
  enum class State { kDone, kRefused, kFailed, kMissing };

  int64_t entry = 0;    // index into Comparison::entries
  int64_t measure = 0;  // index into Comparison::measures
  int64_t length = 0;
  double axis = 0;  // second axis, 0 if none
  State state = State::kMissing;
  std::string reason;  // of a refusal or failure
  int64_t samples = 0;
  Interval figure;                     // 95 % interval around its value
  std::optional<Interval> difference;  // to the baseline entry, sample by sample
  bool best = false;                   // the best at this place, or not told from it: best_of()
  std::optional<double> chance = {};   // the figure of uniform guessing
  std::optional<Circumstances> circumstances = {};  // of a figure of the machine
};

// What a figure says beside uniform guessing: its interval lies on the right side, reaches chance,
// or lies wholly on the wrong side. kBetter where chance or the figure is not known.
enum class Guessing { kBetter, kAtChance, kWorse };

// One figure of a measure: a column of tables, a picture.
struct ComparedMeasure {
  std::string name, title, unit;  // as in FigureInfo
  bool lower_is_better = true;
  std::string axis;  // "" or the name of the second axis
};

inline Guessing beside_guessing(const ComparedCell& cell, const ComparedMeasure& measure) {
  if (cell.state != ComparedCell::State::kDone || !cell.chance) return Guessing::kBetter;
  const double sign = measure.lower_is_better ? 1 : -1;
  const double near = sign * (measure.lower_is_better ? cell.figure.high : cell.figure.low);
  const double far = sign * (measure.lower_is_better ? cell.figure.low : cell.figure.high);
  if (far > sign * *cell.chance) return Guessing::kWorse;
  return near >= sign * *cell.chance ? Guessing::kAtChance : Guessing::kBetter;
}

struct Comparison {
  std::string title;
  std::string text_name, text_hash;
  int64_t text_tokens = 0;
  uint64_t seed = 0;
  std::optional<int64_t> baseline;  // index of the entry that differences are to
  std::vector<int64_t> lengths;
  std::vector<ComparedEntry> entries;
  std::vector<ComparedMeasure> measures;
  std::vector<ComparedCell> cells;  // by entry, measure, length, axis
};

// As JSON: one line per entry, measure and cell. Pure; any thread.
std::string comparison_json(const Comparison& comparison);
// Errors: Error naming `name` and the key or byte of what is wrong, including indices that point
// nowhere.
Comparison parse_comparison(std::string_view json, const std::string& name);

// The samples of one finished measure, one line: what a resumable run writes per cell.
std::string measure_result_json(const MeasureResult& result);
// The circumstances of a cell, one line, and back. Errors: as parse_comparison.
std::string circumstances_text(const Circumstances& circumstances);
Circumstances parse_circumstances(std::string_view json, const std::string& name);
// Errors: as parse_comparison.
MeasureResult parse_measure_result(std::string_view json, const std::string& name);

}  // namespace perdure
