// SPDX-License-Identifier: Apache-2.0

// The nodes and shape rules of operations.hpp.
#include "plugins/attention/rwkv/operations.hpp"

#include "sdk/microrwkv_mixer.hpp"
#include "sdk/shape_rules.hpp"

namespace perdure::rwkv {
namespace {

using namespace shape_rules;

bool is_vector(const ValueType& t, int64_t columns) {
  return t.kind == ValueKind::kConstant && t.dtype == PERDURE_F32 && t.rows == 1 &&
         t.columns == columns;
}

bool is_state(const ValueType& t, int64_t rows, int64_t columns) {
  return t.kind == ValueKind::kState && t.rows == rows && t.columns == columns;
}

// Matrices per head, whatever the size of a head is.
bool is_matrices(const ValueType& t, int64_t n) {
  return is_state(t, n, t.columns) && t.columns > 0 && n % t.columns == 0;
}

Types shift_types(const Types& in, const Attributes& attributes) {
  const bool fits = in.size() == 3 && are_rows(in, 0, 1) && in[1].kind == ValueKind::kConstant &&
                    in[1].dtype == PERDURE_F32 && in[1].rows > 0 &&
                    in[1].columns == in[0].columns && is_state(in[2], 1, in[0].columns);
  require(fits, "token_shift", "x [rows, n], a constant [count, n] F32 and a state [1, n]");
  const int64_t n_results = in[1].rows + integer(attributes, "previous");
  return Types(static_cast<size_t>(n_results), in[0]);
}

Types lerp_types(const Types& in, const Attributes&) {
  require(in.size() == 3 && are_rows(in, 0, 3), "lerp", "three values [rows, n]");
  return {in[0]};
}

Types wkv4_types(const Types& in, const Attributes&) {
  const bool fits = in.size() == 5 && are_rows(in, 0, 2) && is_vector(in[2], in[0].columns) &&
                    is_vector(in[3], in[0].columns) && is_state(in[4], 3, in[0].columns);
  require(fits, "wkv4", "k, v [rows, n], decay and first [1, n] F32 and a state [3, n]");
  return {in[0]};
}

Types wkv5_types(const Types& in, const Attributes&) {
  const bool fits = in.size() == 6 && are_rows(in, 0, 3) &&
                    (are_rows(in, 3, 4) || is_vector(in[3], in[0].columns)) &&
                    is_vector(in[4], in[0].columns) && is_matrices(in[5], in[0].columns);
  require(fits, "wkv5",
          "r, k, v [rows, n], decay [rows, n] or [1, n], first [1, n] F32 and a state [n, m], m a "
          "divisor of n");
  return {in[0]};
}

Types wkv7_types(const Types& in, const Attributes&) {
  const bool fits = in.size() == 7 && are_rows(in, 0, 6) && is_matrices(in[6], in[0].columns);
  require(fits, "wkv7", "r, decay, k, v, a, b [rows, n] and a state [n, m], m a divisor of n");
  return {in[0]};
}

bool divides(const Attributes& attributes, const ValueType& rows) {
  const int64_t head_size = integer(attributes, "head_size");
  return head_size > 0 && rows.columns % head_size == 0;
}

Types keys_types(const Types& in, const Attributes& attributes) {
  const bool fits = in.size() == 4 && are_rows(in, 0, 2) && is_vector(in[2], in[0].columns) &&
                    is_vector(in[3], in[0].columns) && divides(attributes, in[0]);
  require(fits, "wkv7_keys",
          "k, rate [rows, n], k_k and k_a [1, n] F32 and a head_size that divides n");
  return {in[0], in[0], in[0]};
}

Types bonus_types(const Types& in, const Attributes& attributes) {
  const bool fits = in.size() == 5 && are_rows(in, 0, 4) && is_vector(in[4], in[0].columns) &&
                    divides(attributes, in[0]);
  require(fits, "wkv7_bonus",
          "y, r, k, v [rows, n], r_k [1, n] F32 and a head_size that divides n");
  return {in[0]};
}

Types groups_types(const Types& in, const Attributes& attributes) {
  return group_attention_types("row_groups", in, attributes);
}

}  // namespace

std::vector<Value> token_shift(GraphBuilder& g, Value x, Value lerp, Value state, bool previous) {
  Attributes attributes;
  if (previous) attributes.emplace_back("previous", int64_t{1});
  return g.apply_all("token_shift", {x, lerp, state}, attributes);
}

Value lerp(GraphBuilder& g, Value a, Value b, Value t) { return g.apply("lerp", {a, b, t}); }

Value wkv4(GraphBuilder& g, Value k, Value v, Value decay, Value first, Value state) {
  return g.apply("wkv4", {k, v, decay, first, state});
}

Value wkv5(GraphBuilder& g, Value r, Value k, Value v, Value decay, Value first, Value state) {
  return g.apply("wkv5", {r, k, v, decay, first, state});
}

Value wkv7(GraphBuilder& g, Value r, Value decay, Value k, Value v, Value a, Value b, Value state) {
  return g.apply("wkv7", {r, decay, k, v, a, b, state});
}

Keys7 wkv7_keys(GraphBuilder& g, Value k, Value rate, Value k_k, Value k_a, int64_t head_size) {
  const auto keys = g.apply_all("wkv7_keys", {k, rate, k_k, k_a}, {{"head_size", head_size}});
  return {keys[0], keys[1], keys[2]};
}

Value wkv7_bonus(GraphBuilder& g, Value y, Value r, Value k, Value v, Value r_k,
                 int64_t head_size) {
  return g.apply("wkv7_bonus", {y, r, k, v, r_k}, {{"head_size", head_size}});
}

Value row_groups(GraphBuilder& g, Value y, int64_t n_heads) {
  return g.apply("row_groups", {y}, {{"n_heads", n_heads}});
}

std::vector<Operation> operations() {
  constexpr auto kSession = OperationKind::kPerSession;
  constexpr auto kRow = OperationKind::kRowWise;
  return {{"token_shift", kSession, shift_types, {2}}, {"lerp", kRow, lerp_types},
          {"wkv4", kSession, wkv4_types, {4}},         {"wkv5", kSession, wkv5_types, {5}},
          {"wkv7", kSession, wkv7_types, {6}},         {"wkv7_keys", kRow, keys_types},
          {"wkv7_bonus", kRow, bonus_types},           {"row_groups", kRow, groups_types}};
}

}  // namespace perdure::rwkv
