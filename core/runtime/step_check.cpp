// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/step_check.hpp"

#include <cmath>
#include <string>

namespace perdure {
namespace {

using Kind = StateUse::Kind;

template <class T>
const T* row_of(const perdure_value& v, int64_t row) {
  return reinterpret_cast<const T*>(static_cast<const char*>(v.tensor.data) +
                                    row * v.tensor.row_stride_bytes);
}

bool takes_part(const StateUse& use, const perdure_row& row) {
  if (use.kind == Kind::kReadSource) return row.source == static_cast<int32_t>(use.index);
  if (use.kind != Kind::kWriteRow) return true;
  return row.role < 63 && ((use.roles >> row.role) & 1) != 0;
}

std::string of_input(const PlanNode& node, uint32_t input) {
  return " (input " + std::to_string(input) + " of '" + node.operation + "')";
}

}  // namespace

StepCheck::StepCheck(const perdure_step& step, std::span<StateShadow* const> shadows, bool causal,
                     uint64_t& n_nodes)
    : step_(step), shadows_(shadows), causal_(causal), n_nodes_(n_nodes) {}

void StepCheck::before(const PlanNode& node) {
  ++n_nodes_;
  for (const StateUse& use : node.uses)
    for (int64_t row = 0; row < step_.n_rows; ++row)
      if (takes_part(use, step_.rows[row])) check(node, use, row);
}

void StepCheck::check(const PlanNode& node, const StateUse& use, int64_t row) {
  const perdure_value& values = node.inputs[use.values];
  if (values.kind != PERDURE_VALUE_STATE) {
    check_keys_of_step(use, node.inputs[use.index], row);
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
    case Kind::kReadList: {
      const auto* range = row_of<int64_t>(node.inputs[use.index], row);
      const auto* list = row_of<int64_t>(node.inputs[use.list], row);
      check_list_range(node, use, row);
      for (int64_t i = range[0]; i < range[1] && !fault; ++i)
        fault = shadow.check_read(state, view, list[i], list[i] + 1, sees);
      break;
    }
    case Kind::kWriteRow:
      fault = shadow.write(state, view, *row_of<int64_t>(node.inputs[use.index], row),
                           causal_ ? r.position : kWrittenEarlier, n_nodes_);
      break;
  }
  if (fault) fail(row, *fault + of_input(node, use.values));
}

// A range that names places in a list of keys.
void StepCheck::check_list_range(const PlanNode& node, const StateUse& use, int64_t row) const {
  const auto* limits = row_of<int64_t>(node.inputs[use.index], row);
  const int64_t size = node.inputs[use.list].tensor.shape[1];
  if (limits[0] < 0 || limits[1] > size)
    fail(row, "reads places " + std::to_string(limits[0]) + " to " + std::to_string(limits[1]) +
                  " of a list of " + std::to_string(size) + " keys" + of_input(node, use.values));
}

// Keys that are rows of the session in this step.
void StepCheck::check_keys_of_step(const StateUse& use, const perdure_value& range,
                                   int64_t row) const {
  if (use.kind != Kind::kReadRange) return;
  const perdure_row& r = step_.rows[row];
  const perdure_session& session = step_.sessions[r.session];
  const auto* limits = row_of<int64_t>(range, row);
  if (limits[0] < 0 || limits[1] < limits[0] || limits[1] > session.n_rows)
    fail(row, "reads rows " + std::to_string(limits[0]) + " to " + std::to_string(limits[1]) +
                  " of the " + std::to_string(session.n_rows) +
                  " that its session has in the step");
  for (int64_t key = limits[0]; causal_ && key < limits[1]; ++key)
    if (const int64_t position = step_.rows[session.first_row + key].position;
        position > r.position)
      fail(row, "looks ahead: it reads the row of position " + std::to_string(position));
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
  const perdure_row& r = step_.rows[row];
  const std::string kind =
      r.role == PERDURE_ROLE_TOKEN ? "" : ", an extra row of role " + std::to_string(r.role);
  throw CheckFailure("row " + std::to_string(row) + " of the step (session " +
                     std::to_string(r.session) + ", position " + std::to_string(r.position) + kind +
                     ") " + what);
}

}  // namespace perdure
