// SPDX-License-Identifier: Apache-2.0

// Rows that are cut, joined, or read from a table by an index.
#include <algorithm>
#include <array>
#include <cstring>

#include "plugins/kernels/common/weights.hpp"

namespace perdure::kernels {
namespace {

int64_t element_bytes(const perdure_value& v) {
  return v.tensor.dtype == PERDURE_I64 ? sizeof(int64_t) : sizeof(float);
}

// Rows whose bytes can be moved.
bool can_be_cut(const perdure_value& v) {
  return is_rows(v, PERDURE_F32) || is_rows(v, PERDURE_I64);
}

struct LookupParams {
  RowParams rows;
  int64_t n_columns, n_rows;  // of the table
};

int prepare_lookup(const perdure_node* node, void* params) {
  if (node->n_inputs != 2 || node->n_outputs != 1 || !is_readable(node->inputs[0]) ||
      !is_rows(node->inputs[1], PERDURE_I64) || !is_rows(node->outputs[0], PERDURE_F32) ||
      rows(node->inputs[0]) < 1 || columns(node->inputs[0]) != columns(node->outputs[0]))
    return PERDURE_DECLINED;
  *static_cast<LookupParams*>(params) = {
      {in_outputs(node->outputs[0])}, columns(node->inputs[0]), rows(node->inputs[0])};
  return PERDURE_OK;
}

int run_lookup(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const LookupParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t row = std::clamp<int64_t>(*row_of<int64_t>(call->inputs[1], r), 0, p.n_rows - 1);
    float* y = row_of<float>(call->outputs[0], r);
    for (int64_t i = 0; i < p.n_columns; ++i) y[i] = read_weight(call->inputs[0].tensor, row, i);
  }
  return PERDURE_OK;
}

int prepare_concat(const perdure_node* node, void* params) {
  if (node->n_inputs < 1 || node->n_outputs != 1 || !can_be_cut(node->outputs[0]))
    return PERDURE_DECLINED;
  int64_t n_columns = 0;
  for (uint32_t i = 0; i < node->n_inputs; ++i) {
    if (!can_be_cut(node->inputs[i]) ||
        node->inputs[i].tensor.dtype != node->outputs[0].tensor.dtype)
      return PERDURE_DECLINED;
    n_columns += columns(node->inputs[i]);
  }
  if (n_columns != columns(node->outputs[0])) return PERDURE_DECLINED;
  *static_cast<RowParams*>(params) = {in_outputs(node->outputs[0])};
  return PERDURE_OK;
}

int run_concat(const perdure_call* call, int64_t begin, int64_t end, void*) {
  for (int64_t r = begin; r < end; ++r) {
    char* y = row_of<char>(call->outputs[0], r);
    for (uint32_t i = 0; i < call->n_inputs; ++i) {
      const auto n_bytes =
          static_cast<size_t>(columns(call->inputs[i]) * element_bytes(call->inputs[i]));
      std::memcpy(y, row_of<char>(call->inputs[i], r), n_bytes);
      y += n_bytes;
    }
  }
  return PERDURE_OK;
}

struct SliceParams {
  RowParams rows;
  int64_t first_byte;
  size_t n_bytes;
};

int prepare_slice(const perdure_node* node, void* params) {
  const int64_t first = perdure_attribute_int(node, "first", 0);
  const int64_t count = perdure_attribute_int(node, "count", 0);
  if (node->n_inputs != 1 || node->n_outputs != 1 || !can_be_cut(node->inputs[0]) ||
      node->inputs[0].tensor.dtype != node->outputs[0].tensor.dtype || first < 0 || count < 1 ||
      first > columns(node->inputs[0]) - count || columns(node->outputs[0]) != count)
    return PERDURE_DECLINED;
  const int64_t size = element_bytes(node->inputs[0]);
  *static_cast<SliceParams*>(params) = {
      {in_outputs(node->outputs[0])}, first * size, static_cast<size_t>(count * size)};
  return PERDURE_OK;
}

int run_slice(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const SliceParams*>(call->params);
  for (int64_t r = begin; r < end; ++r)
    std::memcpy(row_of<char>(call->outputs[0], r), row_of<char>(call->inputs[0], r) + p.first_byte,
                p.n_bytes);
  return PERDURE_OK;
}

constexpr std::array kKernels = {
    operation_kernel<LookupParams>("lookup_scalar", "lookup", prepare_lookup, divide_rows,
                                   run_lookup),
    operation_kernel<RowParams>("concat_scalar", "concat", prepare_concat, divide_rows, run_concat),
    operation_kernel<SliceParams>("slice_scalar", "slice", prepare_slice, divide_rows, run_slice),
};

}  // namespace

std::span<const perdure_kernel> column_kernels() { return kKernels; }

}  // namespace perdure::kernels
