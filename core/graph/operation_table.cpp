// SPDX-License-Identifier: Apache-2.0

// Shape rules of the built-in operations; what they compute stands in core/api/operations.hpp.
#include "core/graph/operation_table.hpp"

namespace perdure {
namespace {

using Types = std::vector<ValueType>;

std::string describe(const ValueType& t) {
  const char* kind = t.kind == ValueKind::kRows      ? "rows"
                     : t.kind == ValueKind::kOutputs ? "outputs"
                                                     : nullptr;
  return "[" + (kind ? kind : std::to_string(t.rows)) + ", " + std::to_string(t.columns) + "]";
}

[[noreturn]] void fail(const std::string& operation, const std::string& what, const Types& in) {
  std::string shapes;
  for (const auto& t : in) shapes += (shapes.empty() ? "" : ", ") + describe(t);
  throw Error("[" + operation + "] " + what + ", got " + (shapes.empty() ? "nothing" : shapes));
}

bool is_rows(const ValueType& t) {
  return t.kind == ValueKind::kRows || t.kind == ValueKind::kOutputs;
}

bool is_real_rows(const ValueType& t) { return is_rows(t) && t.dtype == PERDURE_F32; }

bool is_index(const ValueType& t) {
  return t.kind == ValueKind::kRows && t.dtype == PERDURE_I64 && t.columns == 1;
}

bool is_vector(const ValueType& t, int64_t columns) {
  return t.kind == ValueKind::kConstant && t.rows == 1 && t.columns == columns;
}

bool is_state(const ValueType& t, int64_t columns) {
  return t.kind == ValueKind::kState && t.columns == columns;
}

int64_t integer(const std::string& operation, const Attributes& attributes, const char* name) {
  for (const auto& [key, value] : attributes)
    if (key == name)
      if (const auto* i = std::get_if<int64_t>(&value)) return *i;
  throw Error("[" + operation + "] needs the integer attribute '" + name + "'");
}

ValueType rows_of(int64_t columns, perdure_dtype dtype = PERDURE_F32,
                  ValueKind kind = ValueKind::kRows) {
  return {.kind = kind, .dtype = dtype, .rows = 0, .columns = columns, .group_size = 0};
}

Types row_input(const Types& in, const Attributes&) {
  if (in.empty() || in[0].kind != ValueKind::kConstant)
    fail("row_input", "needs an embedding table [vocab, d]", in);
  for (const auto& t : in)
    if (t.columns != in[0].columns || is_rows(t))
      fail("row_input", "needs sources as wide as the embedding", in);
  return {rows_of(in[0].columns)};
}

Types rms_norm(const Types& in, const Attributes& attributes) {
  const int64_t group = integer("rms_norm", attributes, "group");
  if (in.empty() || in.size() > 2 || !is_real_rows(in[0]))
    fail("rms_norm", "needs x [*, n] and at most a weight [1, n]", in);
  if (in.size() == 2 && !is_vector(in[1], in[0].columns))
    fail("rms_norm", "needs a weight as wide as x", in);
  if (group < 0 || (group > 0 && in[0].columns % group != 0))
    fail("rms_norm", "needs groups that divide the row", in);
  return {in[0]};
}

Types mat_mul(const Types& in, const Attributes&) {
  if (in.size() != 2 || !is_rows(in[0]) || in[1].kind != ValueKind::kConstant ||
      in[0].columns != in[1].columns)
    fail("mat_mul", "needs x [*, k] and w [n, k]", in);
  const bool real = in[0].dtype == PERDURE_F32 && in[1].dtype != PERDURE_I64;
  const bool quantised = in[0].dtype == PERDURE_Q80 && in[1].dtype == PERDURE_Q80 &&
                         in[0].group_size == in[1].group_size;
  if (!real && !quantised) fail("mat_mul", "cannot multiply these types", in);
  return {rows_of(in[1].rows, PERDURE_F32, in[0].kind)};
}

Types quantize(const Types& in, const Attributes& attributes) {
  const int64_t group = integer("quantize", attributes, "group_size");
  if (in.size() != 1 || !is_real_rows(in[0]) || group < 1 || in[0].columns % group != 0)
    fail("quantize", "needs x [*, n] and a group size that divides n", in);
  ValueType t = in[0];
  t.dtype = PERDURE_Q80;
  t.group_size = group;
  return {t};
}

Types element_wise(const char* name, size_t n_inputs, const Types& in) {
  if (in.size() != n_inputs) fail(name, "needs " + std::to_string(n_inputs) + " inputs", in);
  for (const auto& t : in)
    if (!is_real_rows(t) || t.kind != in[0].kind || t.columns != in[0].columns)
      fail(name, "needs F32 rows of equal shape", in);
  return {in[0]};
}

Types scale_rows(const Types& in, const Attributes&) {
  if (in.size() != 2 || !is_real_rows(in[0]) || !is_real_rows(in[1]) || in[1].columns != 1 ||
      in[0].kind != in[1].kind)
    fail("scale_rows", "needs x [*, n] and s [*, 1]", in);
  return {in[0]};
}

Types index_to(const char* name, int64_t columns, perdure_dtype dtype, const Types& in) {
  if (in.size() != 1 || !is_index(in[0])) fail(name, "needs an index [rows, 1]", in);
  return {rows_of(columns, dtype)};
}

Types row_index(const Types& in, const Attributes& attributes) {
  if (!in.empty()) fail("row_index", "takes no input", in);
  if (integer("row_index", attributes, "modulus") < 0)
    fail("row_index", "needs a modulus >= 0", in);
  return {rows_of(1, PERDURE_I64)};
}

Types of_the_step(const char* name, int64_t columns, const Types& in) {
  if (!in.empty()) fail(name, "takes no input", in);
  return {rows_of(columns, PERDURE_I64)};
}

Types live_range(const Types& in, const Attributes&) {
  if (in.size() != 1 || in[0].kind != ValueKind::kState) fail("live_range", "needs a state", in);
  return {rows_of(3, PERDURE_I64)};
}

Types map_index(const Types& in, const Attributes& attributes) {
  if (integer("map_index", attributes, "group") < 1) fail("map_index", "needs a group >= 1", in);
  return index_to("map_index", 1, PERDURE_I64, in);
}

Types piecewise_index(const Types& in, const Attributes&) {
  if (in.size() != 3 || !is_index(in[0]) || !is_vector(in[1], in[1].columns) ||
      !is_vector(in[2], in[1].columns + 1))
    fail("piecewise_index", "needs an index [rows, 1], edges [1, m] and values [1, m + 1]", in);
  return {rows_of(1, PERDURE_I64)};
}

Types rope_angles(const Types& in, const Attributes&) {
  const bool one_set = in.size() == 2 && is_vector(in[1], in[1].columns);
  const bool sets = in.size() == 3 && in[1].kind == ValueKind::kConstant && is_index(in[2]);
  if ((!one_set && !sets) || !is_index(in[0]))
    fail("rope_angles",
         "needs an index [rows, 1] and frequencies [1, n], or [m, n] and a set [rows, 1]", in);
  return {rows_of(2 * in[1].columns)};
}

// An I64 [rows, 3] and an index make another range.
Types change_range(const char* name, const Types& in) {
  if (in.size() != 2 || in[0].kind != ValueKind::kRows || in[0].dtype != PERDURE_I64 ||
      in[0].columns != 3 || !is_index(in[1]))
    fail(name, "needs a range [rows, 3] and an index [rows, 1]", in);
  return {in[0]};
}

Types rope(const Types& in, const Attributes&) {
  if (in.size() != 2 || !is_real_rows(in[0]) || !is_real_rows(in[1]) || in[0].kind != in[1].kind ||
      in[1].columns == 0 || in[0].columns % in[1].columns != 0)
    fail("rope", "needs x [*, heads * head_size] and angles [*, head_size]", in);
  return {in[0]};
}

Types state_read(const Types& in, const Attributes&) {
  if (in.size() != 2 || in[0].kind != ValueKind::kState || !is_index(in[1]))
    fail("state_read", "needs a state and an index [rows, 1]", in);
  return {rows_of(in[0].columns)};
}

Types state_write(const Types& in, const Attributes&) {
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

Types select_outputs(const Types& in, const Attributes&) {
  if (in.size() != 1 || !is_real_rows(in[0]) || in[0].kind != ValueKind::kRows)
    fail("select_outputs", "needs x [rows, n]", in);
  return {rows_of(in[0].columns, PERDURE_F32, ValueKind::kOutputs)};
}

}  // namespace

OperationTable::OperationTable() {
  constexpr auto kRow = OperationKind::kRowWise;
  add({"row_input", kRow, row_input});
  add({"rms_norm", kRow, rms_norm});
  add({"mat_mul", kRow, mat_mul});
  add({"quantize", kRow, quantize});
  for (const char* name : {"add", "mul", "silu_mul"})
    add({name, kRow,
         [name](const Types& in, const Attributes&) { return element_wise(name, 2, in); }});
  for (const char* name : {"sigmoid", "tanh", "silu"})
    add({name, kRow,
         [name](const Types& in, const Attributes&) { return element_wise(name, 1, in); }});
  add({"scale_rows", kRow, scale_rows});
  add({"row_index", kRow, row_index});
  add({"stream_index", kRow,
       [](const Types& in, const Attributes&) { return of_the_step("stream_index", 1, in); }});
  add({"step_range", OperationKind::kPerSession,
       [](const Types& in, const Attributes&) { return of_the_step("step_range", 3, in); }});
  add({"live_range", OperationKind::kPerSession, live_range});
  add({"map_index", kRow, map_index});
  add({"piecewise_index", kRow, piecewise_index});
  for (const char* name : {"cut_range", "shift_range"})
    add({name, kRow,
         [name](const Types& in, const Attributes&) { return change_range(name, in); }});
  add({"rope_angles", kRow, rope_angles});
  add({"rope", kRow, rope});
  add({"log_n", kRow,
       [](const Types& in, const Attributes&) { return index_to("log_n", 1, PERDURE_F32, in); }});
  for (const char* name : {"window_range", "sink_range"})
    add({name, kRow, [name](const Types& in, const Attributes&) {
           return index_to(name, 3, PERDURE_I64, in);
         }});
  add({"state_read", kRow, state_read});
  add({"state_write", kRow, state_write, {1}});
  add({"attend", OperationKind::kPerSession, attend});
  add({"select_outputs", kRow, select_outputs});
  for (const auto& [name, operation] : operations_) built_in_.insert(name);
}

void OperationTable::add(Operation operation) {
  const std::string name = operation.name;
  if (!operations_.emplace(name, std::move(operation)).second)
    throw Error("the operation '" + name + "' is registered already; give it another name");
}

const Operation* OperationTable::find(std::string_view name) const {
  const auto it = operations_.find(name);
  return it == operations_.end() ? nullptr : &it->second;
}

bool OperationTable::is_built_in(std::string_view name) const { return built_in_.contains(name); }

}  // namespace perdure
