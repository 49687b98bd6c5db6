// SPDX-License-Identifier: Apache-2.0

// The nodes and shape rules of operations.hpp.
#include "plugins/attention/microrwkv/operations.hpp"

#include "sdk/microrwkv_mixer.hpp"
#include "sdk/shape_rules.hpp"

namespace perdure::microrwkv {
namespace {

using namespace shape_rules;

// The first three inputs are rows of heads.
bool are_heads(const Types& in, const Attributes& attributes) {
  const int64_t n_heads = integer(attributes, "n_heads");
  return n_heads > 0 && in[0].columns % n_heads == 0 && are_rows(in, 0, 3);
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
  return group_attention_types("window_groups", in, attributes);
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
