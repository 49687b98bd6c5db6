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

Types attend(const Types& in, const Attributes& attributes) {
  const int64_t n_heads = integer("attend", attributes, "n_heads");
  const int64_t n_kv_heads = integer("attend", attributes, "n_kv_heads");
  const int64_t n_queries = integer("attend", attributes, "n_queries");
  const int64_t n_ranges = integer("attend", attributes, "n_ranges");
  if (n_ranges > PERDURE_MAX_KEY_RANGES)
    throw Error("[attend] takes at most " + std::to_string(PERDURE_MAX_KEY_RANGES) +
                " stretches of keys, got " + std::to_string(n_ranges));
  const size_t n_fixed = static_cast<size_t>(n_queries + 3 * n_ranges);
  if (n_queries < 1 || n_queries > 2 || n_ranges < 1 || in.size() < n_fixed ||
      in.size() > n_fixed + 1)
    fail("attend", "needs one or two queries and keys, values and range of every stretch", in);
  if (n_heads < 1 || n_kv_heads < 1 || n_heads % n_kv_heads != 0 || in[0].columns % n_heads != 0)
    fail("attend", "needs heads that divide the query and key heads that divide the heads", in);
  const int64_t head_size = in[0].columns / n_heads;
  for (int64_t q = 0; q < n_queries; ++q)
    if (!is_real_rows(in[q]) || in[q].kind != ValueKind::kRows || in[q].columns != in[0].columns)
      fail("attend", "needs queries [rows, n_heads * head_size]", in);
  for (size_t r = static_cast<size_t>(n_queries); r < n_fixed; r += 3)
    if (!is_key_rows(in[r], n_kv_heads * head_size) ||
        !is_key_rows(in[r + 1], n_kv_heads * head_size) || in[r].kind != in[r + 1].kind ||
        in[r + 2].kind != ValueKind::kRows || in[r + 2].dtype != PERDURE_I64 ||
        in[r + 2].columns != 3)
      fail("attend", "needs keys and values [n_kv_heads * head_size] and a range [rows, 3]", in);
  if (in.size() > n_fixed &&
      (in[n_fixed].kind != ValueKind::kConstant || in[n_fixed].columns != head_size))
    fail("attend", "needs angles [n_positions, head_size]", in);
  return {rows_of(in[0].columns)};
}

}  // namespace

std::vector<Operation> attention_rules() {
  return {{"state_read", kRow, state_read},
          {"state_write", kRow, state_write, {1}},
          {"attend", OperationKind::kPerSession, attend}};
}

}  // namespace perdure::rules
