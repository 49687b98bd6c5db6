// SPDX-License-Identifier: Apache-2.0

// Shape rules of core/api/operations/norms.hpp.
#include "core/graph/shape_rules.hpp"

namespace perdure::rules {
namespace {

constexpr auto kRow = OperationKind::kRowWise;

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

Types group_norm(const Types& in, const Attributes& attributes) {
  const int64_t n_groups = integer("group_norm", attributes, "n_groups");
  if (in.empty() || in.size() > 3 || !is_real_rows(in[0]))
    fail("group_norm", "needs x [*, n] and at most a weight and a bias [1, n]", in);
  for (size_t i = 1; i < in.size(); ++i)
    if (!is_vector(in[i], in[0].columns) || in[i].dtype == PERDURE_I64)
      fail("group_norm", "needs a weight and a bias as wide as x", in);
  if (n_groups < 1 || in[0].columns % n_groups != 0)
    fail("group_norm", "needs a number of groups that divides the row", in);
  return {in[0]};
}

Types softmax(const Types& in, const Attributes& attributes) {
  const int64_t group = integer("softmax", attributes, "group");
  if (in.size() != 1 || !is_real_rows(in[0])) fail("softmax", "needs x [*, n]", in);
  if (group < 0 || (group > 0 && in[0].columns % group != 0))
    fail("softmax", "needs groups that divide the row", in);
  return {in[0]};
}

}  // namespace

std::vector<Operation> norm_rules() {
  return {
      {"rms_norm", kRow, rms_norm}, {"group_norm", kRow, group_norm}, {"softmax", kRow, softmax}};
}

}  // namespace perdure::rules
