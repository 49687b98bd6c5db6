// SPDX-License-Identifier: Apache-2.0

// Shape rules of core/api/operations/elementwise.hpp.
#include "core/graph/shape_rules.hpp"

namespace perdure::rules {
namespace {

constexpr auto kRow = OperationKind::kRowWise;

Types element_wise(const char* name, size_t n_inputs, const Types& in) {
  if (in.size() != n_inputs) fail(name, "needs " + std::to_string(n_inputs) + " inputs", in);
  for (const auto& t : in)
    if (!is_real_rows(t) || t.kind != in[0].kind || t.columns != in[0].columns)
      fail(name, "needs F32 rows of equal shape", in);
  return {in[0]};
}

Types with_vector(const char* name, const Types& in) {
  if (in.size() != 2 || !is_real_rows(in[0]) || !is_vector(in[1], in[0].columns) ||
      in[1].dtype == PERDURE_I64)
    fail(name, "needs x [*, n] and a constant row [1, n]", in);
  return {in[0]};
}

Types scale_rows(const Types& in, const Attributes&) {
  if (in.size() != 2 || !is_real_rows(in[0]) || !is_real_rows(in[1]) || in[1].columns < 1 ||
      in[0].columns % in[1].columns != 0 || in[0].kind != in[1].kind)
    fail("scale_rows", "needs x [*, n] and s [*, m] with m a divisor of n", in);
  return {in[0]};
}

Operation of_equal_shapes(const char* name, size_t n_inputs) {
  return {name, kRow,
          [=](const Types& in, const Attributes&) { return element_wise(name, n_inputs, in); }};
}

Operation of_a_vector(const char* name) {
  return {name, kRow, [=](const Types& in, const Attributes&) { return with_vector(name, in); }};
}

}  // namespace

std::vector<Operation> elementwise_rules() {
  std::vector<Operation> all;
  for (const char* name : {"add", "mul", "silu_mul"}) all.push_back(of_equal_shapes(name, 2));
  for (const char* name : {"sigmoid", "tanh", "silu", "exp", "gelu", "gelu_tanh", "relu_square"})
    all.push_back(of_equal_shapes(name, 1));
  for (const char* name : {"add_row", "mul_row"}) all.push_back(of_a_vector(name));
  all.push_back({"scale_rows", kRow, scale_rows});
  return all;
}

}  // namespace perdure::rules
