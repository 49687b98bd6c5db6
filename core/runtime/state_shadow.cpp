// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/state_shadow.hpp"

#include <algorithm>

namespace perdure {
namespace {

int64_t physical_row(const perdure_state_view& view, int64_t index) {
  if (view.ring_rows == 0 || index < view.ring_first) return index;
  return view.ring_first + (index - view.ring_first) % view.ring_rows;
}

std::string row_text(int64_t index) { return "row " + std::to_string(index); }

}  // namespace

StateShadow::StateShadow(const std::vector<int64_t>& written) : states_(written.size()) {
  for (size_t i = 0; i < written.size(); ++i) trust(i, written[i]);
}

void StateShadow::trust(size_t state, int64_t written) {
  states_[state] = {.trusted = written, .rows = {}};
}

std::optional<std::string> StateShadow::check_trusted(size_t state, const perdure_state_view& view,
                                                      int64_t index) const {
  const int64_t written = states_[state].trusted;
  if (index >= written) return "reads " + row_text(index) + ", which was never written";
  const bool in_ring = view.ring_rows != 0 && index >= view.ring_first;
  if (in_ring && written != kAll && index < written - view.ring_rows)
    return "reads " + row_text(index) + ", which the ring has lost";
  return std::nullopt;
}

const StateShadow::Row* StateShadow::find(size_t state, int64_t physical) const {
  const auto& rows = states_[state].rows;
  if (static_cast<size_t>(physical) >= rows.size()) return nullptr;
  const Row& row = rows[static_cast<size_t>(physical)];
  return row.writer == kNeverWritten ? nullptr : &row;
}

std::optional<std::string> StateShadow::check_read(size_t state, const perdure_state_view& view,
                                                   int64_t first, int64_t end,
                                                   int64_t position) const {
  if (first < 0 || end < first)
    return "reads rows " + std::to_string(first) + " to " + std::to_string(end) +
           ", which is no range";
  for (int64_t index = first; index < end; ++index) {
    const int64_t physical = physical_row(view, index);
    if (physical >= view.n_rows)
      return "reads " + row_text(index) + ", but the state has " + std::to_string(view.n_rows);
    const Row* row = find(state, physical);
    if (!row) {
      if (auto fault = check_trusted(state, view, index)) return fault;
      continue;
    }
    if (row->index != index)
      return "reads " + row_text(index) + ", but the ring holds " + row_text(row->index) +
             " in its place";
    if (row->writer > position)
      return "looks ahead: it reads " + row_text(index) + ", which belongs to position " +
             std::to_string(row->writer);
  }
  return std::nullopt;
}

StateShadow::Row& StateShadow::at(size_t state, int64_t physical) {
  auto& rows = states_[state].rows;
  if (static_cast<size_t>(physical) >= rows.size())
    rows.resize(std::max(static_cast<size_t>(physical) + 1, 2 * rows.size()));
  return rows[static_cast<size_t>(physical)];
}

void StateShadow::add(size_t state, const perdure_state_view& view, int64_t index, int64_t position,
                      uint64_t node) {
  const int64_t physical = index < 0 ? view.n_rows : physical_row(view, index);
  if (physical >= view.n_rows) return;
  Row& row = at(state, physical);
  const int64_t writer = position == INT64_MAX ? kWrittenEarlier : position;
  row = {index, std::max(row.writer, writer), node};
}

std::optional<std::string> StateShadow::write(size_t state, const perdure_state_view& view,
                                              int64_t index, int64_t position, uint64_t node) {
  if (index < 0) return "writes " + row_text(index);
  const int64_t physical = physical_row(view, index);
  if (physical >= view.n_rows)
    return "writes " + row_text(index) + ", but the state has " + std::to_string(view.n_rows);
  Row& row = at(state, physical);
  if (row.writer != kNeverWritten && row.node == node)
    return "writes " + row_text(index) + ", where another row of the step has just written " +
           row_text(row.index);
  row = {index, position, node};
  return std::nullopt;
}

}  // namespace perdure
