// SPDX-License-Identifier: Apache-2.0

// Runs cells in this process: the engine of an entry at a length and the text in its tokens.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "apps/perdure/compare/cell_store.hpp"
#include "apps/perdure/compare/plan.hpp"
#include "apps/perdure/text_reader.hpp"
#include "core/eval/engines.hpp"

namespace perdure::app {

// Holds one engine at a time: cheapest if cells of an entry and a length follow each other. The
// plan must outlive it. One thread.
class CellRunner {
 public:
  // `threads`: of every engine whose configuration leaves it open; 0: all. `quiet`: nothing is said
  // about texts that are normalised.
  CellRunner(const ComparePlan& plan, int64_t threads, bool quiet = true);

  // The engine of a cell. Valid until one of another entry or length is asked for.
  // Errors: as the constructor of Engine.
  Engine& engine(const Cell& cell);
  // The text in the tokens of the cell's engine; empty if the measure reads none.
  // Errors: as TextReader, Tokenizer::encode; UsageError if there is no tokenizer.
  const EvalText& text(const Cell& cell);
  // Names everything that changes what is found, and nothing else: weights, tokenizer, options,
  // kernels, foreign libraries, measure, text, length; for times the threads and the machine as
  // well. 32 hexadecimal digits.
  // Errors: as engine() and text().
  std::string key(const Cell& cell);
  // Errors of the engine and the measure become outcomes. `progress`: as for run_measure; if it
  // says stop, the state is kStopped.
  CellOutcome run(const Cell& cell, const MeasureProgress& progress);

 private:
  EvalText read_text(const Engine& engine);
  TextReader& reader_of(LineEnds line_ends);
  // The settings of an entry at a length, with the window that compare.equal_state gives it there.
  Settings settings_of(const Cell& cell);
  void note_window(const Cell& cell, const StrategyChoice& fitted) const;
  int64_t baseline_bytes(int64_t length);

  const ComparePlan& plan_;
  int64_t threads_;
  bool quiet_;
  size_t entry_ = 0;
  int64_t length_ = 0;
  std::unique_ptr<EntryEngines> engines_;
  std::map<LineEnds, TextReader> readers_;
  std::map<std::pair<std::string, LineEnds>, EvalText> texts_;  // by tokenizer and line ends
  std::map<int64_t, int64_t> baseline_bytes_;                   // by length
  std::map<std::pair<size_t, int64_t>, Settings> fitted_;       // by entry and length
};

}  // namespace perdure::app
