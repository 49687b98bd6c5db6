// SPDX-License-Identifier: Apache-2.0

// Shape rules of core/api/operations/rows.hpp.
#include "core/base/dtype.hpp"
#include "core/graph/shape_rules.hpp"

namespace perdure::rules {
namespace {

constexpr auto kRow = OperationKind::kRowWise;

Types row_input(const Types& in, const Attributes&) {
  if (in.empty() || in[0].kind != ValueKind::kConstant ||
      perdure_row_bytes(in[0].dtype, in[0].columns) == 0)
    fail("row_input", "needs an embedding table [vocab, d]", in);
  for (const auto& t : in)
    if (t.columns != in[0].columns || is_rows(t))
      fail("row_input", "needs sources as wide as the embedding", in);
  return {rows_of(in[0].columns)};
}

Types mat_mul(const Types& in, const Attributes&) {
  if (in.size() != 2 || !is_rows(in[0]) || in[1].kind != ValueKind::kConstant ||
      in[0].columns != in[1].columns)
    fail("mat_mul", "needs x [*, k] and w [n, k]", in);
  const uint32_t x = in[0].dtype, w = in[1].dtype;
  const bool real = x == PERDURE_F32 && w != PERDURE_I64 && perdure_row_bytes(w, in[1].columns) > 0;
  const bool quantised =
      x != PERDURE_F32 && x == activation_type(w) && in[0].group_size == in[1].group_size;
  if (!real && !quantised) fail("mat_mul", "cannot multiply these types", in);
  return {rows_of(in[1].rows, PERDURE_F32, in[0].kind)};
}

// Rows of whole blocks.
Types quantize_blocks(const Types& in, const std::string& type) {
  const perdure_dtype dtype = type == "q8_k" ? PERDURE_Q8_K : PERDURE_Q8_0;
  if (type != dtype_name(dtype)) fail("quantize", "knows the types q8_0 and q8_k only", in);
  if (in.size() != 1 || !is_real_rows(in[0]) || perdure_row_bytes(dtype, in[0].columns) == 0)
    fail("quantize", "needs x [*, n] and blocks that divide n", in);
  ValueType t = in[0];
  t.dtype = dtype;
  return {t};
}

Types quantize(const Types& in, const Attributes& attributes) {
  for (const auto& [name, value] : attributes)
    if (name == "type")
      if (const auto* type = std::get_if<std::string>(&value)) return quantize_blocks(in, *type);
  const int64_t group = integer("quantize", attributes, "group_size");
  if (in.size() != 1 || !is_real_rows(in[0]) || group < 1 || in[0].columns % group != 0)
    fail("quantize", "needs x [*, n] and a group size that divides n", in);
  ValueType t = in[0];
  t.dtype = PERDURE_Q80;
  t.group_size = group;
  return {t};
}

Types lookup(const Types& in, const Attributes&) {
  if (in.size() != 2 || in[0].kind != ValueKind::kConstant || in[0].rows < 1 ||
      in[0].dtype == PERDURE_I64 || !is_index(in[1]))
    fail("lookup", "needs a table [m, n] and an index [rows, 1]", in);
  return {rows_of(in[0].columns)};
}

bool can_be_cut(const ValueType& t) {
  return is_rows(t) && (t.dtype == PERDURE_F32 || t.dtype == PERDURE_I64);
}

Types concat(const Types& in, const Attributes&) {
  int64_t n_columns = 0;
  for (const auto& t : in) {
    if (!can_be_cut(t) || t.kind != in[0].kind || t.dtype != in[0].dtype)
      fail("concat", "needs rows of one kind and type", in);
    n_columns += t.columns;
  }
  if (in.empty()) fail("concat", "needs at least one part", in);
  return {rows_of(n_columns, in[0].dtype, in[0].kind)};
}

Types slice(const Types& in, const Attributes& attributes) {
  const int64_t first = integer("slice", attributes, "first");
  const int64_t count = integer("slice", attributes, "count");
  if (in.size() != 1 || !can_be_cut(in[0]) || first < 0 || count < 1 || first > in[0].columns ||
      count > in[0].columns - first)
    fail("slice", "needs x [*, n] and columns first .. first + count - 1 within it", in);
  return {rows_of(count, in[0].dtype, in[0].kind)};
}

Types select_outputs(const Types& in, const Attributes&) {
  if (in.size() != 1 || !is_real_rows(in[0]) || in[0].kind != ValueKind::kRows)
    fail("select_outputs", "needs x [rows, n]", in);
  return {rows_of(in[0].columns, PERDURE_F32, ValueKind::kOutputs)};
}

}  // namespace

std::vector<Operation> row_rules() {
  return {{"row_input", kRow, row_input},
          {"mat_mul", kRow, mat_mul},
          {"quantize", kRow, quantize},
          {"lookup", kRow, lookup},
          {"concat", kRow, concat},
          {"slice", kRow, slice},
          {"select_outputs", kRow, select_outputs}};
}

}  // namespace perdure::rules
