// SPDX-License-Identifier: Apache-2.0

// The work of a comparison: cells that any process may take, then those that must have the machine
// to themselves.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/perdure/compare/ranks.hpp"
#include "apps/perdure/compare/survey.hpp"

namespace perdure::app {

// What rank 0 says to the others. When it is gone, every rank that still asks is told to end: none
// waits for a rank 0 that has failed.
class Team {
 public:
  explicit Team(std::unique_ptr<Ranks> ranks) : ranks_(std::move(ranks)) {}
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return ranks_->size(); }
  // A question of another rank, if there is one.
  std::optional<Ranks::Message> receive() { return ranks_->receive(); }
  // "" ends the rank.
  void answer(int rank, const std::string& text);
  bool all_ended() const { return ended_ + 1 >= ranks_->size(); }

 private:
  std::unique_ptr<Ranks> ranks_;
  int ended_ = 0;
};

// Rank 0: runs open deterministic cells, and assigns them to the ranks that ask; every outcome is
// kept in the store at once and written into the survey. Ctrl-C drops the running cell. Returns
// when every other rank has ended. Errors: Error if a cell cannot be kept.
void share_cells(const ComparePlan& plan, Survey& survey, CellRunner& runner,
                 const CellStore& store, Team& team, bool quiet);

// The other ranks: asks for cells and runs them until rank 0 says that there are no more.
void take_part(const ComparePlan& plan, CellRunner& runner, Ranks& ranks);

// Runs open cells of measures of the machine, each in a process of its own, which is this program
// with `words` and --only. Waits for each.
void run_alone(const ComparePlan& plan, Survey& survey, const CellStore& store,
               const std::vector<std::string>& words, bool quiet);

// Runs the one open cell there is in this process.
void run_here(Survey& survey, CellRunner& runner, const CellStore& store);

}  // namespace perdure::app
