// SPDX-License-Identifier: Apache-2.0

// Shape rules of core/api/operations/attention.hpp.
#include "core/api/kernel.h"
#include "core/graph/shape_rules.hpp"

namespace perdure::rules {
namespace {

constexpr auto kRow = OperationKind::kRowWise;

Types state_read(const Types& in, const Attributes&) {
  if (in.size() != 2 || in[0].kind != ValueKind::kState || !is_index(in[1]))
    fail("state_read", "needs a state and an index [rows, 1]", in);
  return {rows_of(in[0].columns)};
}

Types state_write(const Types& in, const Attributes& attributes) {
  if (integer("state_write", attributes, "roles", 1) < 0)
    fail("state_write", "needs roles as a set of the bits 0 to 62", in);
  if (in.size() != 3 || !is_real_rows(in[0]) || in[0].kind != ValueKind::kRows ||
      !is_state(in[1], in[0].columns) || !is_index(in[2]))
    fail("state_write", "needs x [rows, n], a state with n columns and an index [rows, 1]", in);
  return {};
}

// Keys or values: rows of a state, or of the step itself.
bool is_key_rows(const ValueType& t, int64_t columns) {
  return is_state(t, columns) ||
         (is_real_rows(t) && t.kind == ValueKind::kRows && t.columns == columns);
}

// The inputs of one attend node: [weights,] queries, then keys, values and range of every stretch,
// [angles,] the lists of the stretches that have one, [slopes, places].
struct AttendShape {
  std::string name;
  const Types& in;
  const Attributes& attributes;
  size_t first;  // of the queries
  int64_t n_heads, n_kv_heads, n_queries, n_ranges;

  AttendShape(const std::string& operation, const Types& inputs, const Attributes& a)
      : name(operation),
        in(inputs),
        attributes(a),
        first(operation == "attend_weighing" ? 1 : 0),
        n_heads(integer(name, a, "n_heads")),
        n_kv_heads(integer(name, a, "n_kv_heads")),
        n_queries(integer(name, a, "n_queries")),
        n_ranges(integer(name, a, "n_ranges")) {}

  // Element r of a list with one for each range; 0 if the list is left out.
  int64_t of_range(const char* list, int64_t r) const {
    return integer_at(name, attributes, list, static_cast<size_t>(r), 0);
  }

  int64_t count(const char* list) const {
    int64_t n = 0;
    for (int64_t r = 0; r < n_ranges; ++r) n += of_range(list, r) != 0 ? 1 : 0;
    return n;
  }

  bool has_slopes() const { return integer(name, attributes, "slopes", 0) != 0; }
  size_t after_ranges() const { return first + static_cast<size_t>(n_queries + 3 * n_ranges); }
  size_t n_inputs(bool has_angles) const {
    return after_ranges() + (has_angles ? 1 : 0) + static_cast<size_t>(count("listed")) +
           (has_slopes() ? 2 : 0);
  }
  int64_t head_size() const { return in[first].columns / n_heads; }
  int64_t value_size() const { return integer(name, attributes, "value_size", head_size()); }

  void check_counts() const {
    if (n_ranges > PERDURE_MAX_KEY_RANGES)
      throw Error("[" + name + "] takes at most " + std::to_string(PERDURE_MAX_KEY_RANGES) +
                  " stretches of keys, got " + std::to_string(n_ranges));
    if (n_queries < 1 || n_queries > 2 || n_ranges < 1 ||
        (in.size() != n_inputs(false) && in.size() != n_inputs(true)))
      fail(name, "needs one or two queries and keys, values and range of every stretch", in);
    if (n_heads < 1 || n_kv_heads < 1 || n_heads % n_kv_heads != 0 ||
        in[first].columns % n_heads != 0)
      fail(name, "needs heads that divide the query and key heads that divide the heads", in);
    if (value_size() < 1) fail(name, "needs a value_size >= 1", in);
  }

  void check_queries() const {
    for (size_t q = first; q < first + static_cast<size_t>(n_queries); ++q)
      if (!is_real_rows(in[q]) || in[q].kind != ValueKind::kRows ||
          in[q].columns != in[first].columns)
        fail(name, "needs queries [rows, n_heads * head_size]", in);
  }

  void check_ranges() const {
    for (size_t r = first + static_cast<size_t>(n_queries); r < after_ranges(); r += 3)
      if (!is_key_rows(in[r], n_kv_heads * head_size()) ||
          !is_key_rows(in[r + 1], n_kv_heads * value_size()) || in[r].kind != in[r + 1].kind ||
          !is_range(in[r + 2]))
        fail(name,
             "needs keys [n_kv_heads * head_size], values [n_kv_heads * value_size] and a range "
             "[rows, 3]",
             in);
  }

  void check_angles() const {
    const bool has_angles = in.size() == n_inputs(true);
    if (!has_angles && count("rotate") > 0) fail(name, "needs angles for keys that rotate", in);
    if (!has_angles) return;
    const ValueType& angles = in[after_ranges()];
    if (angles.kind != ValueKind::kConstant || angles.columns < 1 || angles.columns > head_size())
      fail(name, "needs angles [n_positions, rotary] with rotary <= head_size", in);
  }

  void check_lists_and_slopes() const {
    size_t i = after_ranges() + (in.size() == n_inputs(true) ? 1 : 0);
    for (const size_t end = i + static_cast<size_t>(count("listed")); i < end; ++i)
      if (in[i].kind != ValueKind::kRows || in[i].dtype != PERDURE_I64 || in[i].columns < 1)
        fail(name, "needs lists of keys [rows, m] I64", in);
    if (has_slopes() &&
        (!is_vector(in[i], n_heads) || in[i].dtype != PERDURE_F32 || !is_index(in[i + 1])))
      fail(name, "needs slopes [1, n_heads] and places [rows, 1]", in);
  }

  void check_weights() const {
    if (first == 0 && count("weigh") > 0)
      fail(name, "has ranges that weigh, but no state for the weights", in);
    if (first == 1 &&
        (in[0].kind != ValueKind::kState || in[0].columns < 1 || n_heads % in[0].columns != 0))
      fail(name, "needs a state for the weights whose columns divide the heads", in);
  }
};

Types attend(const std::string& name, const Types& in, const Attributes& attributes) {
  const AttendShape shape(name, in, attributes);
  shape.check_counts();
  shape.check_queries();
  shape.check_ranges();
  shape.check_angles();
  shape.check_lists_and_slopes();
  shape.check_weights();
  return {rows_of(shape.n_heads * shape.value_size())};
}

Operation attention(const char* name, std::vector<int> writes) {
  return {name, OperationKind::kPerSession,
          [name](const Types& in, const Attributes& a) { return attend(name, in, a); },
          std::move(writes)};
}

}  // namespace

std::vector<Operation> attention_rules() {
  return {{"state_read", kRow, state_read},
          {"state_write", kRow, state_write, {1}},
          attention("attend", {}),
          attention("attend_weighing", {0})};
}

}  // namespace perdure::rules
