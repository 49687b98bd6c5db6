// SPDX-License-Identifier: Apache-2.0

// Which nodes the kernels take, how their work divides, and the list of kernels of all instruction
// sets.
#include <algorithm>
#include <vector>

#include "plugins/attention/rwkv/operations.hpp"
#include "plugins/attention/rwkv/run.hpp"
#include "sdk/group_attention.hpp"
#include "sdk/kernel_sets.hpp"

namespace perdure::rwkv {
namespace {

// A range of fewer elements costs more to hand out than to compute.
constexpr int64_t kSmallestElements = 2048;

// The inputs first .. end - 1 are rows of F32.
bool are_rows(const perdure_node& node, uint32_t first, uint32_t end) {
  return std::all_of(node.inputs + first, node.inputs + end, [](const perdure_value& v) {
    return v.kind == PERDURE_VALUE_ROWS && is_rows(v, PERDURE_F32);
  });
}

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

int prepare_shift(const perdure_node* node, void* params) {
  if (node->n_inputs != 3 || !are_rows(*node, 0, 1) || !is_plain(node->inputs[1]) ||
      !is_state(node->inputs[2]))
    return PERDURE_DECLINED;
  const int64_t n = columns(node->inputs[0]);
  *static_cast<ShiftParams*>(params) = {n, rows(node->inputs[1]), divide_up(n, kChannelBlock),
                                        perdure_attribute_int(node, "previous", 0) != 0};
  return PERDURE_OK;
}

int prepare_lerp(const perdure_node* node, void* params) {
  if (node->n_inputs != 3 || !are_rows(*node, 0, 3)) return PERDURE_DECLINED;
  *static_cast<RowParams*>(params) = {columns(node->inputs[0])};
  return PERDURE_OK;
}

int prepare_wkv4(const perdure_node* node, void* params) {
  if (node->n_inputs != 5 || !are_rows(*node, 0, 2) || !is_plain(node->inputs[2]) ||
      !is_plain(node->inputs[3]) || !is_state(node->inputs[4]))
    return PERDURE_DECLINED;
  const int64_t n = columns(node->inputs[0]);
  *static_cast<Wkv4Params*>(params) = {n, divide_up(n, kChannelBlock)};
  return PERDURE_OK;
}

int fill(void* params, const perdure_node* node, int64_t head_size, bool decay_by_row = false) {
  const int64_t n = columns(node->inputs[0]);
  *static_cast<HeadParams*>(params) = {n, head_size, n / head_size, decay_by_row};
  return PERDURE_OK;
}

int prepare_wkv5(const perdure_node* node, void* params) {
  if (node->n_inputs != 6 || !are_rows(*node, 0, 3) || !is_plain(node->inputs[4]) ||
      !is_state(node->inputs[5]))
    return PERDURE_DECLINED;
  const bool by_row = are_rows(*node, 3, 4);
  if (!by_row && !is_plain(node->inputs[3])) return PERDURE_DECLINED;
  return fill(params, node, columns(node->inputs[5]), by_row);
}

int prepare_wkv7(const perdure_node* node, void* params) {
  if (node->n_inputs != 7 || !are_rows(*node, 0, 6) || !is_state(node->inputs[6]))
    return PERDURE_DECLINED;
  return fill(params, node, columns(node->inputs[6]));
}

int prepare_keys(const perdure_node* node, void* params) {
  if (node->n_inputs != 4 || !are_rows(*node, 0, 2) || !is_plain(node->inputs[2]) ||
      !is_plain(node->inputs[3]))
    return PERDURE_DECLINED;
  return fill(params, node, perdure_attribute_int(node, "head_size", 1));
}

int prepare_bonus(const perdure_node* node, void* params) {
  if (node->n_inputs != 5 || !are_rows(*node, 0, 4) || !is_plain(node->inputs[4]))
    return PERDURE_DECLINED;
  return fill(params, node, perdure_attribute_int(node, "head_size", 1));
}

int prepare_groups(const perdure_node* node, void* params) {
  if (node->n_inputs != 1 || !are_rows(*node, 0, 1)) return PERDURE_DECLINED;
  const int64_t n_heads = perdure_attribute_int(node, "n_heads", 1);
  *static_cast<GroupParams*>(params) = {
      n_heads, columns(node->inputs[0]) / (kGroupParts * kPiecesOfPart * n_heads)};
  return PERDURE_OK;
}

size_t group_scratch(const perdure_node*, const void* params) {
  return static_cast<size_t>(static_cast<const GroupParams*>(params)->n_heads) * sizeof(float);
}

size_t head_scratch(const perdure_node*, const void* params) {
  return static_cast<size_t>(static_cast<const HeadParams*>(params)->head_size) * sizeof(float);
}

// `n_parts` parts of each session, a part costing `elements` for every row.
void divide_sessions(const perdure_step& step, int64_t n_parts, int64_t elements,
                     perdure_work* work) {
  const int64_t rows = std::max<int64_t>(step.n_rows / std::max<int64_t>(step.n_sessions, 1), 1);
  *work = {step.n_sessions * n_parts,
           divide_up(kSmallestElements, std::max<int64_t>(rows * elements, 1))};
}

void divide_shift(const perdure_call* call, perdure_work* work) {
  const auto& p = *static_cast<const ShiftParams*>(call->params);
  divide_sessions(*call->step, p.n_blocks, kChannelBlock * p.n_lerps, work);
}

void divide_wkv4(const perdure_call* call, perdure_work* work) {
  const auto& p = *static_cast<const Wkv4Params*>(call->params);
  divide_sessions(*call->step, p.n_blocks, 8 * kChannelBlock, work);
}

void divide_heads(const perdure_call* call, perdure_work* work) {
  const auto& p = *static_cast<const HeadParams*>(call->params);
  divide_sessions(*call->step, p.n_heads, p.head_size * p.head_size, work);
}

void divide_rows(const perdure_call* call, perdure_work* work) {
  const int64_t n = columns(call->outputs[0]);
  *work = {call->step->n_rows, divide_up(kSmallestElements, std::max<int64_t>(n, 1))};
}

template <typename Params>
perdure_kernel kernel(const char* op, decltype(perdure_kernel::prepare) prepare,
                      decltype(perdure_kernel::divide) divide, Run run,
                      perdure_items items = PERDURE_ITEMS_ELEMENTS,
                      const char* const* attributes = nullptr) {
  perdure_kernel k = make_kernel<Params>(op, op, prepare, divide, run, attributes);
  k.items = items;
  return k;
}

std::vector<perdure_kernel> kernels_of(const RunTable& t) {
  static constexpr const char* kShiftAttributes[] = {"previous", nullptr};
  static constexpr const char* kHeadAttributes[] = {"head_size", nullptr};
  static constexpr const char* kGroupAttributes[] = {"n_heads", nullptr};
  std::vector<perdure_kernel> all = {
      kernel<ShiftParams>("token_shift", prepare_shift, divide_shift, t.token_shift,
                          PERDURE_ITEMS_ELEMENTS, kShiftAttributes),
      kernel<RowParams>("lerp", prepare_lerp, divide_rows, t.lerp, PERDURE_ITEMS_ROWS),
      kernel<Wkv4Params>("wkv4", prepare_wkv4, divide_wkv4, t.wkv4),
      kernel<HeadParams>("wkv5", prepare_wkv5, divide_heads, t.wkv5),
      kernel<HeadParams>("wkv7", prepare_wkv7, divide_heads, t.wkv7),
      kernel<HeadParams>("wkv7_keys", prepare_keys, divide_rows, t.wkv7_keys, PERDURE_ITEMS_ROWS,
                         kHeadAttributes),
      kernel<HeadParams>("wkv7_bonus", prepare_bonus, divide_rows, t.wkv7_bonus, PERDURE_ITEMS_ROWS,
                         kHeadAttributes),
      kernel<GroupParams>("row_groups", prepare_groups, divide_rows, t.row_groups,
                          PERDURE_ITEMS_ROWS, kGroupAttributes),
  };
  all.back().scratch_bytes = group_scratch;
  for (perdure_kernel& k : all)
    if (k.run == scalar::run_wkv7) k.scratch_bytes = head_scratch;
  return all;
}

constexpr RunTable kScalar = {scalar::run_token_shift, scalar::run_lerp,      scalar::run_wkv4,
                              scalar::run_wkv5,        scalar::run_wkv7,      scalar::run_wkv7_keys,
                              scalar::run_wkv7_bonus,  scalar::run_row_groups};

std::vector<perdure_kernel> all_kernels() {
  const KernelSet sets[] = {{"avx512vnni", kAvx512VnniFeatures, 3, kernels_of(avx512::kTable)},
                            {"avx512", kAvx512Features, 2, kernels_of(avx512::kTable)},
                            {"avx2", kAvx2Features, 1, kernels_of(avx2::kTable)},
                            {"scalar", 0, 0, kernels_of(kScalar)}};
  return kernels_of_sets(sets);
}

}  // namespace

std::span<const perdure_kernel> kernels() {
  static const std::vector<perdure_kernel> all = all_kernels();
  return all;
}

}  // namespace perdure::rwkv
