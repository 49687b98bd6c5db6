// SPDX-License-Identifier: Apache-2.0

// A look at everything before the work: which cells are there already, which cannot be, and about
// what the rest costs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/perdure/compare/cell_runner.hpp"
#include "core/eval/results.hpp"

namespace perdure::app {

struct SurveyedCell {
  Cell cell;
  std::string key;                     // "" if it has no engine
  std::optional<CellOutcome> outcome;  // what came of it, earlier or by now
  int64_t tokens = 0;                  // that are left to read, about
  double seconds = 0;                  // that it will take, about
};

struct Survey {
  std::vector<ComparedEntry> entries;  // all of the plan
  std::vector<SurveyedCell> cells;     // those asked for
  std::string text_name, text_hash;    // empty if nothing reads a text
  int64_t text_tokens = 0;             // in the words of the first entry's tokenizer
  std::vector<std::string> remarks;    // about stored cells that cannot be read

  // Numbers of cells without an outcome, of the kind; the order is that of `cells`.
  std::vector<size_t> open_cells(const ComparePlan& plan, bool machine) const;
};

// Opens every engine that a cell needs. `estimate`: reads some tokens with each entry, and refuses
// those whose logits depend on the steps (step_check.hpp) and that have cells left to make. An
// engine or a text that cannot be had makes its cells refused or failed; if no cell has one, that
// error is thrown. Errors: UsageError for an option that an entry's strategy does not have.
Survey survey_cells(const ComparePlan& plan, const std::vector<Cell>& cells, CellRunner& runner,
                    const CellStore& store, bool estimate);

}  // namespace perdure::app
