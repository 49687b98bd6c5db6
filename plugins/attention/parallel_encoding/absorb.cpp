// SPDX-License-Identifier: Apache-2.0

// `absorb_heads`: its shape rule, which nodes its kernels take, and their list.
#include "plugins/attention/parallel_encoding/absorb.hpp"

#include <vector>

#include "core/api/operations.hpp"
#include "plugins/attention/parallel_encoding/run.hpp"
#include "sdk/kernel_sets.hpp"
#include "sdk/shape_rules.hpp"

namespace perdure {
namespace {

using absorb::Params;
using absorb::Run;

constexpr const char* kName = "absorb_heads";

std::vector<ValueType> result(const std::vector<ValueType>& in, const Attributes& attributes) {
  const int64_t n_heads = shape_rules::integer(attributes, "n_heads");
  const int64_t n_kv_heads = shape_rules::integer(attributes, "n_kv_heads");
  const bool fits = in.size() == 2 && n_heads > 0 && n_kv_heads > 0 && n_heads % n_kv_heads == 0 &&
                    shape_rules::is_rows(in[0], in[0].columns) && in[0].columns % n_heads == 0 &&
                    in[1].kind == ValueKind::kConstant &&
                    in[1].rows == in[0].columns / n_heads * n_kv_heads;
  shape_rules::require(fits, kName, "q [rows, heads * n] and a weight [kv heads * n, m]");
  return {{.kind = ValueKind::kRows,
           .dtype = PERDURE_F32,
           .rows = 0,
           .columns = n_heads * in[1].columns}};
}

int prepare(const perdure_node* node, void* params) {
  if (node->n_inputs != 2 || !kernels::is_rows(node->inputs[0], PERDURE_F32))
    return PERDURE_DECLINED;
  const perdure_value& w = node->inputs[1];
  if (!kernels::is_constant(w, PERDURE_F32) && !kernels::is_constant(w, PERDURE_F16) &&
      !kernels::is_constant(w, PERDURE_BF16))
    return PERDURE_DECLINED;
  const int64_t n_heads = perdure_attribute_int(node, "n_heads", 1);
  const int64_t n_kv_heads = perdure_attribute_int(node, "n_kv_heads", 1);
  *static_cast<Params*>(params) = {n_heads, n_heads / n_kv_heads,
                                   kernels::columns(node->inputs[0]) / n_heads,
                                   kernels::columns(w)};
  return PERDURE_OK;
}

void divide(const perdure_call* call, perdure_work* work) {
  const int64_t blocks = (call->step->n_rows + absorb::kRowsOfItem - 1) / absorb::kRowsOfItem;
  *work = {blocks * static_cast<const Params*>(call->params)->n_heads, 1};
}

// A row of the weight.
size_t scratch_bytes(const perdure_node*, const void* params) {
  return static_cast<size_t>(static_cast<const Params*>(params)->width) * sizeof(float);
}

std::vector<perdure_kernel> kernel_of(Run run) {
  static constexpr const char* kAttributes[] = {"n_heads", "n_kv_heads", nullptr};
  perdure_kernel k = kernels::make_kernel<Params>(kName, kName, prepare, divide, run, kAttributes);
  k.items = PERDURE_ITEMS_ELEMENTS;
  k.scratch_bytes = scratch_bytes;
  return {k};
}

std::vector<perdure_kernel> all_kernels() {
  using namespace kernels;
  const KernelSet sets[] = {{"avx512vnni", kAvx512VnniFeatures, 3, kernel_of(absorb::avx512::run)},
                            {"avx512", kAvx512Features, 2, kernel_of(absorb::avx512::run)},
                            {"avx2", kAvx2Features, 1, kernel_of(absorb::avx2::run)},
                            {"scalar", 0, 0, kernel_of(absorb::scalar::run)}};
  return kernels_of_sets(sets);
}

}  // namespace

Value absorb_heads(GraphBuilder& g, Value q, Value w, int64_t n_heads, int64_t n_kv_heads) {
  return g.apply(kName, {q, w}, {{"n_heads", n_heads}, {"n_kv_heads", n_kv_heads}});
}

Value release_heads(GraphBuilder& g, Value x, Value w, int64_t n_heads, int64_t n_kv_heads) {
  const int64_t m = g.type(w).columns, n = g.type(w).rows / n_kv_heads;
  std::vector<Value> heads;
  for (int64_t head = 0; head < n_heads; ++head)
    heads.push_back(op::mat_mul(g, op::slice(g, x, head * m, m),
                                g.weight_rows(w, head / (n_heads / n_kv_heads) * n, n)));
  return n_heads == 1 ? heads.front() : op::concat(g, heads);
}

Operation absorb_operation() {
  return {.name = kName, .kind = OperationKind::kRowWise, .result = result};
}

std::span<const perdure_kernel> absorb_kernels() {
  static const std::vector<perdure_kernel> all = all_kernels();
  return all;
}

}  // namespace perdure
