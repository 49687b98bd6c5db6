// SPDX-License-Identifier: Apache-2.0

// The nodes and shape rules of operations.hpp.
#include "plugins/attention/microrwkv/operations.hpp"

#include <algorithm>
#include <string>

#include "sdk/group_attention.hpp"

namespace perdure::microrwkv {
namespace {

using Types = std::vector<ValueType>;

void require(bool fits, const char* operation, const char* needs) {
  if (!fits) throw Error("[" + std::string(operation) + "] needs " + needs);
}

int64_t integer(const Attributes& attributes, const char* name) {
  for (const auto& [key, value] : attributes)
    if (const auto* i = std::get_if<int64_t>(&value); i && key == name) return *i;
  return 0;
}

bool is_rows(const ValueType& t, int64_t columns) {
  return t.kind == ValueKind::kRows && t.dtype == PERDURE_F32 && t.columns == columns;
}

bool is_constant(const ValueType& t, int64_t columns) {
  return t.kind == ValueKind::kConstant && t.dtype == PERDURE_F32 && t.rows > 0 &&
         t.columns == columns;
}

// The first three inputs are rows of heads.
bool are_heads(const Types& in, const Attributes& attributes) {
  const int64_t n_heads = integer(attributes, "n_heads");
  return n_heads > 0 && in[0].columns % n_heads == 0 &&
         std::all_of(in.begin(), in.begin() + 3,
                     [&](const ValueType& t) { return is_rows(t, in[0].columns); });
}

Types shift_types(const Types& in, const Attributes&) {
  const bool fits =
      in.size() == 2 && is_rows(in[0], in[0].columns) && is_constant(in[1], in[0].columns);
  require(fits, "window_shift", "x [rows, n] and a constant [count, n] F32");
  return Types(static_cast<size_t>(in[1].rows), in[0]);
}

Types recur_types(const Types& in, const Attributes& attributes) {
  const bool fits = in.size() == 5 && are_heads(in, attributes) &&
                    is_constant(in[3], in[0].columns) && is_constant(in[4], in[0].columns);
  require(fits, "window_recur",
          "r, k, v [rows, n], decay and first [1, n] F32 and n_heads that divide n");
  return {in[0]};
}

Types attend_types(const Types& in, const Attributes& attributes) {
  const bool fits =
      in.size() == 3 && are_heads(in, attributes) && integer(attributes, "places") > 0;
  require(fits, "window_attend", "q, k, v [rows, n], n_heads that divide n, and places above 0");
  return {in[0]};
}

Types groups_types(const Types& in, const Attributes& attributes) {
  const int64_t n_heads = integer(attributes, "n_heads");
  const int64_t pieces = kernels::kGroupParts * kernels::kPiecesOfPart;
  const bool fits = in.size() == 1 && is_rows(in[0], in[0].columns) && n_heads > 0 &&
                    in[0].columns % (pieces * n_heads) == 0;
  require(fits, "window_groups", "y [rows, 4n], n being a multiple of 4 * n_heads");
  ValueType out = in[0];
  out.columns /= kernels::kPiecesOfPart;
  return {out};
}

}  // namespace

std::vector<Value> shift(GraphBuilder& g, Value x, Value lerp) {
  return g.apply_all("window_shift", {x, lerp}, {});
}

Value recur(GraphBuilder& g, Value r, Value k, Value v, Value decay, Value first, int64_t n_heads) {
  return g.apply("window_recur", {r, k, v, decay, first}, {{"n_heads", n_heads}});
}

Value attend(GraphBuilder& g, Value q, Value k, Value v, int64_t n_heads, int64_t places) {
  return g.apply("window_attend", {q, k, v}, {{"n_heads", n_heads}, {"places", places}});
}

Value attend_groups(GraphBuilder& g, Value y, int64_t n_heads) {
  return g.apply("window_groups", {y}, {{"n_heads", n_heads}});
}

std::vector<Operation> operations() {
  constexpr auto kSession = OperationKind::kPerSession;
  return {{"window_shift", kSession, shift_types, {}},
          {"window_recur", kSession, recur_types, {}},
          {"window_attend", kSession, attend_types, {}},
          {"window_groups", kSession, groups_types, {}}};
}

}  // namespace perdure::microrwkv
