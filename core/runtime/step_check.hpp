// SPDX-License-Identifier: Apache-2.0

// The checked mode, `kernels.check: true`: before a node runs, the indices with which it will read
// and write state are looked at, and afterwards its result. A strategy that reads beyond its place,
// beyond its ring or what was never written gives plausible numbers otherwise. Slow; one thread.
#pragma once

#include <span>

#include "core/api/error.hpp"
#include "core/runtime/plan.hpp"
#include "core/runtime/state_shadow.hpp"

namespace perdure {

// What a check found; the executor adds which node it is.
class CheckFailure : public Error {
 public:
  using Error::Error;
};

// Judges the nodes of one step. Borrows everything for its life.
class StepCheck {
 public:
  // `shadows`: of the step's sessions, same order; nullptr: that session is not checked. `causal`:
  // rows are rows of a text, of which none may see a later one.
  // `n_nodes` counts the nodes judged so far, over all steps, so that two writes of one node can be
  // told from those of two.
  StepCheck(const perdure_step& step, std::span<StateShadow* const> shadows, bool causal,
            uint64_t& n_nodes);

  // Errors of both: CheckFailure that says what the node does wrong, with row, session and
  // position. What the node is going to read and write; its inputs are computed.
  void before(const PlanNode& node);
  // What it computed: no NaN.
  void after(const PlanNode& node) const;

 private:
  void check(const PlanNode& node, const StateUse& use, int64_t row);
  void check_state(const PlanNode& node, const StateUse& use, int64_t row, StateShadow& shadow);
  void check_table_row(const PlanNode& node, const StateUse& use, int64_t row) const;
  void check_keys_of_step(const PlanNode& node, const StateUse& use, int64_t row) const;
  [[noreturn]] void fail(int64_t row, const std::string& what) const;

  const perdure_step& step_;
  std::span<StateShadow* const> shadows_;
  bool causal_;
  uint64_t& n_nodes_;
};

}  // namespace perdure
