// SPDX-License-Identifier: Apache-2.0

// Which nodes the kernels take, how their work divides, and the list of kernels of all instruction
// sets.
#include <algorithm>
#include <vector>

#include "plugins/attention/microrwkv/operations.hpp"
#include "plugins/attention/microrwkv/run.hpp"
#include "sdk/group_attention.hpp"
#include "sdk/kernel_sets.hpp"

namespace perdure::microrwkv {
namespace {

// n_rows inputs [rows, *] F32, and constants behind them.
bool takes(const perdure_node& node, uint32_t n_inputs, uint32_t n_rows) {
  if (node.n_inputs != n_inputs) return false;
  for (uint32_t i = 0; i < n_inputs; ++i) {
    const perdure_value& v = node.inputs[i];
    const bool rows = v.kind == PERDURE_VALUE_ROWS && is_rows(v, PERDURE_F32);
    if (!(i < n_rows ? rows : is_plain(v))) return false;
  }
  return true;
}

int prepare_shift(const perdure_node* node, void* params) {
  if (!takes(*node, 2, 1)) return PERDURE_DECLINED;
  *static_cast<ShiftParams*>(params) = {columns(node->inputs[0]), rows(node->inputs[1])};
  return PERDURE_OK;
}

// `n` = columns of all heads.
HeadParams heads(const perdure_node& node, int64_t n) {
  const int64_t n_heads = perdure_attribute_int(&node, "n_heads", 1);
  return {n_heads, n / n_heads, n_heads, perdure_attribute_int(&node, "places", 1)};
}

int prepare_recur(const perdure_node* node, void* params) {
  if (!takes(*node, 5, 3)) return PERDURE_DECLINED;
  *static_cast<HeadParams*>(params) = heads(*node, columns(node->inputs[0]));
  return PERDURE_OK;
}

int prepare_attend(const perdure_node* node, void* params) {
  if (!takes(*node, 3, 3)) return PERDURE_DECLINED;
  *static_cast<HeadParams*>(params) = heads(*node, columns(node->inputs[0]));
  return PERDURE_OK;
}

int prepare_groups(const perdure_node* node, void* params) {
  if (!takes(*node, 1, 1)) return PERDURE_DECLINED;
  HeadParams p = heads(*node, columns(node->inputs[0]) / (kGroupParts * kPiecesOfPart));
  p.n_parts = kGroupParts;
  *static_cast<HeadParams*>(params) = p;
  return PERDURE_OK;
}

size_t recur_scratch(const perdure_node*, const void* params) {
  const auto size = static_cast<size_t>(static_cast<const HeadParams*>(params)->head_size);
  return size * size * sizeof(float);
}

// Weights of pieces or of heads.
size_t attend_scratch(const perdure_node*, const void* params) {
  const auto& p = *static_cast<const HeadParams*>(params);
  return static_cast<size_t>(std::max(p.places, p.n_heads)) * sizeof(float);
}

void divide_parts(const perdure_call* call, perdure_work* work) {
  const auto& p = *static_cast<const HeadParams*>(call->params);
  *work = {call->step->n_sessions * p.n_parts, 1};
}

template <typename Params>
perdure_kernel kernel(const char* op, decltype(perdure_kernel::prepare) prepare,
                      decltype(perdure_kernel::divide) divide, Run run,
                      const char* const* attributes = nullptr,
                      decltype(perdure_kernel::scratch_bytes) scratch = nullptr) {
  perdure_kernel k = make_kernel<Params>(op, op, prepare, divide, run, attributes);
  k.items = divide == divide_step_rows ? PERDURE_ITEMS_ROWS : PERDURE_ITEMS_ELEMENTS;
  k.scratch_bytes = scratch;
  return k;
}

std::vector<perdure_kernel> kernels_of(const RunTable& t) {
  static constexpr const char* kHeads[] = {"n_heads", nullptr};
  static constexpr const char* kPlaces[] = {"n_heads", "places", nullptr};
  return {kernel<ShiftParams>("window_shift", prepare_shift, divide_step_rows, t.shift),
          kernel<HeadParams>("window_recur", prepare_recur, divide_parts, t.recur, kHeads,
                             recur_scratch),
          kernel<HeadParams>("window_attend", prepare_attend, divide_parts, t.attend, kPlaces,
                             attend_scratch),
          kernel<HeadParams>("window_groups", prepare_groups, divide_parts, t.attend_groups, kHeads,
                             attend_scratch)};
}

std::vector<perdure_kernel> all_kernels() {
  const KernelSet sets[] = {{"avx512vnni", kAvx512VnniFeatures, 3, kernels_of(avx512::kTable)},
                            {"avx512", kAvx512Features, 2, kernels_of(avx512::kTable)},
                            {"avx2", kAvx2Features, 1, kernels_of(avx2::kTable)},
                            {"scalar", 0, 0, kernels_of(scalar::kTable)}};
  return kernels_of_sets(sets);
}

}  // namespace

std::span<const perdure_kernel> kernels() {
  static const std::vector<perdure_kernel> all = all_kernels();
  return all;
}

}  // namespace perdure::microrwkv
