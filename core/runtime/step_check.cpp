// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/step_check.hpp"

#include <cmath>
#include <string>

#include "core/runtime/bounds.hpp"

namespace perdure {
namespace {

using Kind = StateUse::Kind;

std::string of_input(const PlanNode& node, uint32_t input) {
  return " (input " + std::to_string(input) + " of '" + node.operation + "')";
}

// visit(key) for each key of a range or list.
template <typename Visit>
void each_key(const PlanNode& node, const StateUse& use, int64_t row, const Visit& visit) {
  const auto* range = row_of<int64_t>(node.inputs[use.index], row);
  const int64_t* list = use.list == 0 ? nullptr : row_of<int64_t>(node.inputs[use.list], row);
  for (int64_t i = range[0]; i < range[1]; ++i) visit(list == nullptr ? i : list[i]);
}

}  // namespace

StepCheck::StepCheck(const perdure_step& step, std::span<StateShadow* const> shadows, bool causal,
                     uint64_t& n_nodes)
    : step_(step), shadows_(shadows), causal_(causal), n_nodes_(n_nodes) {}

void StepCheck::before(const PlanNode& node) {
  ++n_nodes_;
  for (const StateUse& use : node.uses)
    for (int64_t row = 0; row < step_.n_rows; ++row)
      if (use.takes_part(step_.rows[row])) check(node, use, row);
}

void StepCheck::check(const PlanNode& node, const StateUse& use, int64_t row) {
  // As without the checked mode; what follows relies on it.
  if (is_outside(node, use, step_, row)) throw CheckFailure(to_text({row, &use}, node, step_));
  const perdure_value& values = node.inputs[use.values];
  if (values.kind == PERDURE_VALUE_CONSTANT) {
    if (use.kind == Kind::kReadNear) check_table_row(node, use, row);
    return;
  }
  if (values.kind != PERDURE_VALUE_STATE) {
    check_keys_of_step(node, use, row);
    return;
  }
  StateShadow* shadow = shadows_[static_cast<size_t>(step_.rows[row].session)];
  if (shadow) check_state(node, use, row, *shadow);
}

void StepCheck::check_state(const PlanNode& node, const StateUse& use, int64_t row,
                            StateShadow& shadow) {
  const perdure_row& r = step_.rows[row];
  const uint32_t state = node.inputs[use.values].state;
  const perdure_state_view& view = step_.sessions[r.session].states[state];
  const int64_t sees = causal_ ? r.position : INT64_MAX;
  std::optional<std::string> fault;
  switch (use.kind) {
    case Kind::kUnknown:
      shadow.trust(state, StateShadow::kAll);
      break;
    case Kind::kReadSource:
      fault = shadow.check_read(state, view, r.index, r.index + 1, sees);
      break;
    case Kind::kReadRow: {
      const int64_t index = *row_of<int64_t>(node.inputs[use.index], row);
      fault = shadow.check_read(state, view, index, index + 1, sees);
      break;
    }
    case Kind::kReadRange: {
      const auto* range = row_of<int64_t>(node.inputs[use.index], row);
      fault = shadow.check_read(state, view, range[0], range[1], sees);
      break;
    }
    case Kind::kReadList:
      each_key(node, use, row, [&](int64_t key) {
        if (!fault) fault = shadow.check_read(state, view, key, key + 1, sees);
      });
      break;
    case Kind::kAddRange:
    case Kind::kAddList:
      each_key(node, use, row, [&](int64_t key) { shadow.add(state, view, key, sees, n_nodes_); });
      break;
    case Kind::kReadNear:
      break;  // tables only
    case Kind::kWriteRow:
      fault = shadow.write(state, view, *row_of<int64_t>(node.inputs[use.index], row),
                           causal_ ? r.position : kWrittenEarlier, n_nodes_);
      break;
  }
  if (fault) fail(row, *fault + of_input(node, use.values));
}

// What `lookup` would take the first or last row for.
void StepCheck::check_table_row(const PlanNode& node, const StateUse& use, int64_t row) const {
  const int64_t index = *row_of<int64_t>(node.inputs[use.index], row);
  const int64_t n_rows = node.inputs[use.values].tensor.shape[0];
  if (index < 0 || index >= n_rows)
    fail(row, "reads row " + std::to_string(index) + " of a table of " + std::to_string(n_rows) +
                  " rows" + of_input(node, use.values));
}

// Keys that are rows of the session in this step.
void StepCheck::check_keys_of_step(const PlanNode& node, const StateUse& use, int64_t row) const {
  const perdure_row& r = step_.rows[row];
  const perdure_session& session = step_.sessions[r.session];
  each_key(node, use, row, [&](int64_t key) {
    const int64_t position = step_.rows[session.first_row + key].position;
    if (causal_ && position > r.position)
      fail(row, "looks ahead: it reads the row of position " + std::to_string(position));
  });
}

void StepCheck::after(const PlanNode& node) const {
  for (const perdure_value& value : node.outputs) {
    if (value.tensor.dtype != PERDURE_F32) continue;
    const bool outputs = value.kind == PERDURE_VALUE_OUTPUTS;
    const int64_t n_rows = outputs ? step_.n_outputs : step_.n_rows;
    for (int64_t row = 0; row < n_rows; ++row) {
      const auto* values = row_of<float>(value, row);
      for (int64_t i = 0; i < value.tensor.shape[1]; ++i)
        if (std::isnan(values[i]))
          fail(outputs ? step_.output_rows[row] : row,
               "gets NaN in column " + std::to_string(i) + " of the result");
    }
  }
}

void StepCheck::fail(int64_t row, const std::string& what) const {
  throw CheckFailure(row_text(step_, row) + " " + what);
}

}  // namespace perdure
