// SPDX-License-Identifier: Apache-2.0

// The nodes that the operations' kernels take, and what they keep of them.
#include "plugins/kernels/common/weights.hpp"

namespace perdure::kernels {
namespace {

// n_inputs row values of F32 that make one of F32.
bool maps_rows(const perdure_node& node, uint32_t n_inputs) {
  if (node.n_inputs != n_inputs || node.n_outputs != 1 || !is_rows(node.outputs[0], PERDURE_F32))
    return false;
  for (uint32_t i = 0; i < n_inputs; ++i)
    if (!is_rows(node.inputs[i], PERDURE_F32)) return false;
  return true;
}

// A weight [1, n].
bool is_vector(const perdure_value& v, int64_t n) {
  return is_readable(v) && rows(v) == 1 && columns(v) == n;
}

int prepare_elementwise(const perdure_node& node, uint32_t n_inputs, void* params) {
  if (!maps_rows(node, n_inputs)) return PERDURE_DECLINED;
  const int64_t n = columns(node.outputs[0]);
  for (uint32_t i = 0; i < n_inputs; ++i)
    if (columns(node.inputs[i]) != n) return PERDURE_DECLINED;
  *static_cast<ElementwiseParams*>(params) = {{in_outputs(node.outputs[0])}, n};
  return PERDURE_OK;
}

int prepare_mat_mul(const perdure_node& node, perdure_dtype x, perdure_dtype w, void* params) {
  if (node.n_inputs != 2 || node.n_outputs != 1 || !is_rows(node.inputs[0], x) ||
      !is_constant(node.inputs[1], w) || !is_rows(node.outputs[0], PERDURE_F32) ||
      columns(node.inputs[0]) != columns(node.inputs[1]))
    return PERDURE_DECLINED;
  *static_cast<MatMulParams*>(params) = {{in_outputs(node.outputs[0])},
                                         rows(node.inputs[1]),
                                         columns(node.inputs[1]),
                                         node.inputs[1].tensor.group_size};
  return PERDURE_OK;
}

}  // namespace

int prepare_unary(const perdure_node* node, void* params) {
  return prepare_elementwise(*node, 1, params);
}

int prepare_binary(const perdure_node* node, void* params) {
  return prepare_elementwise(*node, 2, params);
}

int prepare_scale_rows(const perdure_node* node, void* params) {
  if (!maps_rows(*node, 2)) return PERDURE_DECLINED;
  const int64_t n = columns(node->outputs[0]), n_groups = columns(node->inputs[1]);
  if (columns(node->inputs[0]) != n || n_groups < 1 || n % n_groups != 0) return PERDURE_DECLINED;
  *static_cast<ScaleParams*>(params) = {{{in_outputs(node->outputs[0])}, n}, n / n_groups};
  return PERDURE_OK;
}

int prepare_vector(const perdure_node* node, void* params) {
  if (node->n_inputs != 2 || node->n_outputs != 1 || !is_rows(node->inputs[0], PERDURE_F32) ||
      !is_rows(node->outputs[0], PERDURE_F32) ||
      !is_vector(node->inputs[1], columns(node->inputs[0])))
    return PERDURE_DECLINED;
  *static_cast<ElementwiseParams*>(params) = {{in_outputs(node->outputs[0])},
                                              columns(node->outputs[0])};
  return PERDURE_OK;
}

int prepare_norm(const perdure_node* node, void* params) {
  const bool weighted = node->n_inputs == 2;
  if (node->n_inputs < 1 || node->n_inputs > 2 || node->n_outputs != 1 ||
      !is_rows(node->inputs[0], PERDURE_F32) || !is_rows(node->outputs[0], PERDURE_F32))
    return PERDURE_DECLINED;
  const int64_t n = columns(node->inputs[0]);
  if (weighted && (!is_readable(node->inputs[1]) || columns(node->inputs[1]) != n))
    return PERDURE_DECLINED;
  int64_t group = perdure_attribute_int(node, "group", 0);
  if (group == 0) group = n;
  if (group < 0 || n % group != 0) return PERDURE_DECLINED;
  *static_cast<NormParams*>(params) = {{in_outputs(node->outputs[0])},
                                       n,
                                       group,
                                       static_cast<float>(perdure_attribute_real(node, "eps", 0.0)),
                                       weighted};
  return PERDURE_OK;
}

int prepare_group_norm(const perdure_node* node, void* params) {
  if (node->n_inputs < 1 || node->n_inputs > 3 || node->n_outputs != 1 ||
      !is_rows(node->inputs[0], PERDURE_F32) || !is_rows(node->outputs[0], PERDURE_F32))
    return PERDURE_DECLINED;
  const int64_t n = columns(node->inputs[0]);
  for (uint32_t i = 1; i < node->n_inputs; ++i)
    if (!is_vector(node->inputs[i], n)) return PERDURE_DECLINED;
  const int64_t n_groups = perdure_attribute_int(node, "n_groups", 1);
  if (n_groups < 1 || n % n_groups != 0) return PERDURE_DECLINED;
  *static_cast<GroupNormParams*>(params) = {
      {in_outputs(node->outputs[0])},
      n,
      n / n_groups,
      static_cast<float>(perdure_attribute_real(node, "eps", 0.0)),
      node->n_inputs > 1 ? 1u : 0u,
      node->n_inputs > 2 ? 2u : 0u};
  return PERDURE_OK;
}

int prepare_softmax(const perdure_node* node, void* params) {
  return node->n_inputs == 1 ? prepare_norm(node, params) : PERDURE_DECLINED;
}

int prepare_rope(const perdure_node* node, void* params) {
  if (!maps_rows(*node, 2)) return PERDURE_DECLINED;
  const int64_t n = columns(node->inputs[0]), rotary = columns(node->inputs[1]);
  const int64_t head_size = perdure_attribute_int(node, "head_size", rotary);
  if (rotary < 2 || rotary % 2 != 0 || head_size < rotary || n % head_size != 0)
    return PERDURE_DECLINED;
  *static_cast<RopeParams*>(params) = {
      {in_outputs(node->outputs[0])},
      n,
      {head_size, rotary, perdure_attribute_int(node, "halves", 0) != 0}};
  return PERDURE_OK;
}

int prepare_quantize(const perdure_node* node, void* params) {
  if (node->n_inputs != 1 || node->n_outputs != 1 || !is_rows(node->inputs[0], PERDURE_F32) ||
      !is_rows(node->outputs[0], PERDURE_Q80))
    return PERDURE_DECLINED;
  const int64_t group = node->outputs[0].tensor.group_size;
  if (group <= 0 || columns(node->inputs[0]) % group != 0) return PERDURE_DECLINED;
  *static_cast<QuantizeParams*>(params) = {
      {in_outputs(node->outputs[0])}, columns(node->inputs[0]) / group, group};
  return PERDURE_OK;
}

int prepare_mat_mul_f32(const perdure_node* node, void* params) {
  return prepare_mat_mul(*node, PERDURE_F32, PERDURE_F32, params);
}

int prepare_mat_mul_f16(const perdure_node* node, void* params) {
  return prepare_mat_mul(*node, PERDURE_F32, PERDURE_F16, params);
}

int prepare_mat_mul_bf16(const perdure_node* node, void* params) {
  return prepare_mat_mul(*node, PERDURE_F32, PERDURE_BF16, params);
}

int prepare_mat_mul_f32_q80(const perdure_node* node, void* params) {
  return prepare_mat_mul(*node, PERDURE_F32, PERDURE_Q80, params);
}

int prepare_mat_mul_q80(const perdure_node* node, void* params) {
  const int status = prepare_mat_mul(*node, PERDURE_Q80, PERDURE_Q80, params);
  if (status != PERDURE_OK) return status;
  const auto& p = *static_cast<const MatMulParams*>(params);
  const bool whole_groups =
      p.k % p.group == 0 && node->inputs[1].tensor.row_stride_bytes % p.group == 0;
  return node->inputs[0].tensor.group_size == p.group && whole_groups ? PERDURE_OK
                                                                      : PERDURE_DECLINED;
}

void divide_rows(const perdure_call* call, perdure_work* work) {
  *work = {count_rows(*static_cast<const RowParams*>(call->params), *call->step), 1};
}

}  // namespace perdure::kernels
