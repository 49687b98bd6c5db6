// SPDX-License-Identifier: Apache-2.0

#include "core/runtime/bounds.hpp"

#include <algorithm>

namespace perdure {
namespace {

using Kind = StateUse::Kind;

// A table as logical indices see it.
struct Table {
  int64_t n_rows;
  int64_t ring_first = 0, ring_rows = 0;

  bool holds(int64_t index) const {
    return index >= 0 && (index < n_rows || (ring_rows != 0 && index >= ring_first));
  }
  // As many keys as there are rows: a ring has no more either, whatever their indices.
  bool holds(int64_t first, int64_t end) const {
    return first >= end || (first >= 0 && end - first <= n_rows && holds(end - 1));
  }
};

// Kernels hold these within bounds themselves, or they are unknown.
bool is_held_elsewhere(Kind kind) {
  return kind == Kind::kReadNear || kind == Kind::kAddRange || kind == Kind::kAddList ||
         kind == Kind::kUnknown;
}

// One use of a node by one row of a step.
class Access {
 public:
  Access(const PlanNode& node, const StateUse& use, const perdure_step& step, int64_t row)
      : node_(node), use_(use), step_(step), row_(row) {}

  bool inside() const {
    switch (use_.kind) {
      case Kind::kReadRow:
      case Kind::kWriteRow:
        return table().holds(*integers(use_.index));
      case Kind::kReadSource:
        return table().holds(step_.rows[row_].index);
      case Kind::kReadRange:
        return table().holds(first(), end()) && rotations_inside();
      case Kind::kReadList:
        return first() >= end() || (places_inside() && !key_outside());
      default:
        return true;
    }
  }

  std::string text() const {
    const std::string of = " of " + table_text();
    switch (use_.kind) {
      case Kind::kWriteRow:
        return "writes row " + std::to_string(*integers(use_.index)) + of;
      case Kind::kReadSource:
        return "reads row " + std::to_string(step_.rows[row_].index) + of;
      case Kind::kReadRange:
        return table().holds(first(), end()) ? rotation_text()
                                             : "reads rows " + span_text(first(), end()) + of;
      case Kind::kReadList:
        if (!places_inside())
          return "reads places " + span_text(first(), end()) + " of a list of " +
                 std::to_string(list_size()) + " keys";
        return table().holds(*key_outside()) ? rotation_text()
                                             : "reads row " + std::to_string(*key_outside()) + of;
      default:
        return "reads row " + std::to_string(*integers(use_.index)) + of;
    }
  }

 private:
  const perdure_value& values() const { return node_.inputs[use_.values]; }
  const int64_t* integers(uint32_t input) const {
    return row_of<int64_t>(node_.inputs[input], row_);
  }
  int64_t first() const { return integers(use_.index)[0]; }
  int64_t end() const { return integers(use_.index)[1]; }
  int64_t shift() const { return integers(use_.index)[2]; }
  int64_t list_size() const { return node_.inputs[use_.list].tensor.shape[1]; }
  int64_t n_angles() const { return node_.inputs[use_.rotation.angles].tensor.shape[0]; }

  Table table() const {
    const perdure_session& session = step_.sessions[step_.rows[row_].session];
    if (values().kind == PERDURE_VALUE_CONSTANT) return {values().tensor.shape[0]};
    if (values().kind != PERDURE_VALUE_STATE) return {session.n_rows};
    const perdure_state_view& view = session.states[values().state];
    return {view.n_rows, view.ring_first, view.ring_rows};
  }

  bool places_inside() const { return first() >= 0 && end() <= list_size(); }

  // The first key of the list that is nowhere, or that no angles are for.
  const int64_t* key_outside() const {
    const Table keys = table();
    const int64_t* list = integers(use_.list);
    const auto* found = std::find_if(list + first(), list + end(), [&](int64_t key) {
      return !keys.holds(key) || !rotation_inside(key);
    });
    return found == list + end() ? nullptr : found;
  }

  // Rows of angles rise with the key.
  bool rotations_inside() const {
    return first() >= end() || (rotation_inside(first()) && rotation_inside(end() - 1));
  }

  bool rotation_inside(int64_t key) const {
    const auto& [angles, group, block] = use_.rotation;
    if (angles == 0) return true;
    const int64_t n = n_angles();
    int64_t place = 0;
    if (block == 0)
      return !__builtin_add_overflow(key, shift(), &place) && place >= 0 && place / group < n;
    return shift() >= 0 && shift() <= n && key / block < n - shift() - block;
  }

  std::string table_text() const {
    const std::string rows = std::to_string(table().n_rows);
    if (values().kind == PERDURE_VALUE_CONSTANT) return "a table of " + rows + " rows";
    if (values().kind == PERDURE_VALUE_STATE) return "a state of " + rows + " rows";
    return "the " + rows + " that its session has in the step";
  }

  static std::string span_text(int64_t first, int64_t end) {
    return std::to_string(first) + " to " + std::to_string(end);
  }

  std::string rotation_text() const {
    return "rotates keys " + span_text(first(), end()) + " with the shift " +
           std::to_string(shift()) + ", but there are angles for " + std::to_string(n_angles()) +
           " places";
  }

  const PlanNode& node_;
  const StateUse& use_;
  const perdure_step& step_;
  int64_t row_;
};

}  // namespace

bool is_outside(const PlanNode& node, const StateUse& use, const perdure_step& step,
                int64_t row) noexcept {
  return !Access(node, use, step, row).inside();
}

OutOfBounds find_out_of_bounds(const PlanNode& node, const perdure_step& step) noexcept {
  for (const StateUse& use : node.uses) {
    if (is_held_elsewhere(use.kind)) continue;
    for (int64_t row = 0; row < step.n_rows; ++row)
      if (use.takes_part(step.rows[row]) && is_outside(node, use, step, row)) return {row, &use};
  }
  return {};
}

std::string to_text(const OutOfBounds& found, const PlanNode& node, const perdure_step& step) {
  return row_text(step, found.row) + " " + Access(node, *found.use, step, found.row).text() +
         " (input " + std::to_string(found.use->values) + " of '" + node.operation + "')";
}

std::optional<Miscount> find_miscount(const PlanNode& node, const perdure_step& step) noexcept {
  for (uint32_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i].kind != PERDURE_VALUE_STATE) continue;
    for (int64_t s = 0; s < step.n_sessions; ++s) {
      const perdure_state_view& view = step.sessions[s].states[node.inputs[i].state];
      if (view.count == nullptr) break;  // of all sessions or of none
      if (*view.count < 0 || *view.count > view.n_rows)
        return Miscount{i, s, *view.count, view.n_rows};
    }
  }
  return std::nullopt;
}

std::string to_text(const Miscount& found) {
  return "leaves the state that is its input " + std::to_string(found.input) + " with " +
         std::to_string(found.rows) + " live rows in session " + std::to_string(found.session) +
         " of the step; it may set 0 to " + std::to_string(found.most) +
         " (perdure_state_view.count)";
}

std::string row_text(const perdure_step& step, int64_t row) {
  const perdure_row& r = step.rows[row];
  const std::string kind =
      r.role == PERDURE_ROLE_TOKEN ? "" : ", an extra row of role " + std::to_string(r.role);
  return "row " + std::to_string(row) + " of the step (session " + std::to_string(r.session) +
         ", position " + std::to_string(r.position) + kind + ")";
}

}  // namespace perdure
