// SPDX-License-Identifier: Apache-2.0

// Shape rules of core/api/operations/positions.hpp.
#include "core/graph/shape_rules.hpp"

namespace perdure::rules {
namespace {

constexpr auto kRow = OperationKind::kRowWise;

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
  if (in.size() != 2 || !is_range(in[0]) || !is_index(in[1]))
    fail(name, "needs a range [rows, 3] and an index [rows, 1]", in);
  return {in[0]};
}

Types rope(const Types& in, const Attributes& attributes) {
  if (in.size() != 2 || !is_real_rows(in[0]) || !is_real_rows(in[1]) || in[0].kind != in[1].kind)
    fail("rope", "needs x [*, heads * head_size] and angles [*, rotary]", in);
  const int64_t rotary = in[1].columns;
  const int64_t head_size = integer("rope", attributes, "head_size", rotary);
  if (rotary < 2 || rotary % 2 != 0 || head_size < rotary || in[0].columns % head_size != 0)
    fail("rope", "needs heads that divide x, and an even number of angles within a head", in);
  return {in[0]};
}

}  // namespace

std::vector<Operation> position_rules() {
  std::vector<Operation> all = {
      {"row_index", kRow, row_index},
      {"stream_index", kRow,
       [](const Types& in, const Attributes&) { return of_the_step("stream_index", 1, in); }},
      {"step_range", OperationKind::kPerSession,
       [](const Types& in, const Attributes&) { return of_the_step("step_range", 3, in); }},
      {"live_range", OperationKind::kPerSession, live_range},
      {"map_index", kRow, map_index},
      {"piecewise_index", kRow, piecewise_index},
      {"rope_angles", kRow, rope_angles},
      {"rope", kRow, rope},
      {"log_n", kRow,
       [](const Types& in, const Attributes&) { return index_to("log_n", 1, PERDURE_F32, in); }}};
  for (const char* name : {"segment_index", "segment_number", "segment_tokens"})
    all.push_back({name, kRow, [name](const Types& in, const Attributes&) {
                     return of_the_step(name, 1, in);
                   }});
  for (const char* name : {"cut_range", "shift_range"})
    all.push_back({name, kRow,
                   [name](const Types& in, const Attributes&) { return change_range(name, in); }});
  for (const char* name : {"window_range", "sink_range"})
    all.push_back({name, kRow, [name](const Types& in, const Attributes&) {
                     return index_to(name, 3, PERDURE_I64, in);
                   }});
  return all;
}

}  // namespace perdure::rules
