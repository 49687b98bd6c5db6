// SPDX-License-Identifier: Apache-2.0

// Runs plans on borrowed threads. Inside a step the participants walk the plan together: each takes
// ranges of the current node from counters, its own share first; a node is done when its ranges are
// done, not when everybody has come. A late worker joins at the current node, an absent one costs
// nothing. With one participant nothing is synchronised. Nothing is looked up, allocated or locked
// per run.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/api/threads.hpp"
#include "core/base/buffer.hpp"
#include "core/runtime/bounds.hpp"
#include "core/runtime/plan.hpp"
#include "core/runtime/step_check.hpp"

namespace perdure {

// One thread at a time.
class Executor {
 public:
  // Borrows `threads` for its life. `max_nodes`, `scratch_bytes`: the largest of the plans that
  // will be run.
  Executor(Threads& threads, size_t max_nodes, size_t scratch_bytes);
  ~Executor();

  // Computes all nodes of `plan` for `step`.
  // Requires: the plan is bound; step.n_rows <= plan.max_rows(); step.n_outputs <=
  // plan.max_outputs().
  // Errors: Error that names plugin, kernel and node if a kernel fails, or divides its work as it
  // may not, if a row would read or write outside its tables (bounds.hpp), if a counted state has a
  // number of live rows that it cannot have, or if the threads leave work undone; then the state of
  // the step's sessions is whatever it was in the middle.
  void run(Plan& plan, const perdure_step& step);
  // The same on the caller alone, every node judged before and after. Errors: as run, and Error
  // that names plugin, kernel and node and says what the check found.
  void run_checked(Plan& plan, const perdure_step& step, StepCheck& check);

 private:
  struct NodeProgress;
  // What went wrong first; of a division the work, of a run the status, of a row where it reaches,
  // of live rows that cannot be whose they are, of a team that left it undone nothing.
  struct Failure {
    const PlanNode* node = nullptr;
    int status = PERDURE_OK;
    perdure_work work{};
    OutOfBounds reach{};
    std::optional<Miscount> miscount = {};
    bool undone = false;
  };
  void run_nodes(Plan& plan, const perdure_step& step) noexcept;
  // False if it failed.
  bool run_node(PlanNode& node, const perdure_step& step) noexcept;
  [[noreturn]] void throw_failure(const Plan& plan, const perdure_step& step) const;
  // False if a row of the step would reach outside.
  bool within_bounds(const PlanNode& node, const perdure_step& step) noexcept;
  // False if a kernel has set the live rows of a state to a number that it cannot have.
  bool well_counted(const PlanNode& node, const perdure_step& step) noexcept;
  // Judges what a team has done when it says that it is done.
  void check_team(const Plan& plan, const perdure_step& step) noexcept;
  // False if the kernel gives work that it may not give.
  bool divide_node(const PlanNode& node, const perdure_step& step, perdure_work& work) noexcept;
  void fail(const Failure& failure) noexcept;
  void run_alone(Plan& plan, const perdure_step& step) noexcept;
  // Divides the nodes into ranges; returns whether any node has more than one.
  bool divide(Plan& plan, const perdure_step& step) noexcept;
  void participate(int participant) noexcept;
  void take_ranges(size_t node, int participant) noexcept;
  void wait_for(size_t node) noexcept;

  Threads& threads_;
  int n_participants_;
  size_t scratch_stride_;
  Buffer scratch_;
  std::unique_ptr<NodeProgress[]> progress_;
  // [node][participant]: ranges of that share that are taken
  std::unique_ptr<std::atomic<uint32_t>[]> shares_;
  Plan* plan_ = nullptr;            // of the run in progress
  std::atomic<size_t> current_{0};  // all nodes before this one are done
  std::atomic<bool> failed_{false};
  Failure failure_;  // written by whoever sets failed_
};

}  // namespace perdure
