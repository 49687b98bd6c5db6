// SPDX-License-Identifier: Apache-2.0

// Rows that enter a step from tables and states, rows that leave it into states, and the choice of
// those that asked for logits.
#include <array>
#include <cstring>

#include "plugins/kernels/common/weights.hpp"

namespace perdure::kernels {
namespace {

struct StateParams {
  RowParams rows;
  int64_t n;
  int64_t roles;  // state_write: bit mask
};

int prepare_input(const perdure_node* node, void* params) {
  if (node->n_inputs < 1 || node->n_outputs != 1 || !is_rows(node->outputs[0], PERDURE_F32))
    return PERDURE_DECLINED;
  const int64_t n = columns(node->outputs[0]);
  for (uint32_t i = 0; i < node->n_inputs; ++i) {
    const perdure_value& source = node->inputs[i];
    if ((!is_readable(source) && !is_state(source)) || columns(source) != n)
      return PERDURE_DECLINED;
  }
  *static_cast<StateParams*>(params) = {{false}, n, 0};
  return PERDURE_OK;
}

int run_input(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const StateParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const perdure_row& row = call->step->rows[r];
    const perdure_value& source = call->inputs[row.source];
    float* y = row_of<float>(call->outputs[0], r);
    if (source.kind == PERDURE_VALUE_STATE) {
      const perdure_state_view& view = state_of(*call->step, row.session, source);
      std::memcpy(y, state_row(view, row.index), p.n * sizeof(float));
    } else {
      for (int64_t i = 0; i < p.n; ++i) y[i] = read_weight(source.tensor, row.index, i);
    }
  }
  return PERDURE_OK;
}

int prepare_read(const perdure_node* node, void* params) {
  if (node->n_inputs != 2 || node->n_outputs != 1 || !is_state(node->inputs[0]) ||
      !is_rows(node->inputs[1], PERDURE_I64) || !is_rows(node->outputs[0], PERDURE_F32))
    return PERDURE_DECLINED;
  *static_cast<StateParams*>(params) = {{false}, columns(node->outputs[0]), 0};
  return PERDURE_OK;
}

int run_read(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const StateParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const auto& view = state_of(*call->step, call->step->rows[r].session, call->inputs[0]);
    std::memcpy(row_of<float>(call->outputs[0], r),
                state_row(view, *row_of<int64_t>(call->inputs[1], r)), p.n * sizeof(float));
  }
  return PERDURE_OK;
}

int prepare_write(const perdure_node* node, void* params) {
  if (node->n_inputs != 3 || !is_rows(node->inputs[0], PERDURE_F32) || !is_state(node->inputs[1]) ||
      !is_rows(node->inputs[2], PERDURE_I64))
    return PERDURE_DECLINED;
  *static_cast<StateParams*>(params) = {
      {false}, columns(node->inputs[0]), perdure_attribute_int(node, "roles", 1)};
  return PERDURE_OK;
}

// Items are columns, so that of two rows written to one place the later one wins however the work
// is cut.
void divide_columns(const perdure_call* call, perdure_work* work) {
  *work = {static_cast<const StateParams*>(call->params)->n, 256};
}

int run_write(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t roles = static_cast<const StateParams*>(call->params)->roles;
  for (int64_t r = 0; r < call->step->n_rows; ++r) {
    const perdure_row& row = call->step->rows[r];
    if ((roles >> row.role & 1) == 0) continue;
    const perdure_state_view& view = state_of(*call->step, row.session, call->inputs[1]);
    std::memcpy(state_row(view, *row_of<int64_t>(call->inputs[2], r)) + begin,
                row_of<float>(call->inputs[0], r) + begin, (end - begin) * sizeof(float));
  }
  return PERDURE_OK;
}

int prepare_select(const perdure_node* node, void* params) {
  if (node->n_inputs != 1 || node->n_outputs != 1 || !is_rows(node->inputs[0], PERDURE_F32) ||
      !in_outputs(node->outputs[0]) || columns(node->inputs[0]) != columns(node->outputs[0]))
    return PERDURE_DECLINED;
  *static_cast<StateParams*>(params) = {{true}, columns(node->outputs[0]), 0};
  return PERDURE_OK;
}

int run_select(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t n = static_cast<const StateParams*>(call->params)->n;
  for (int64_t r = begin; r < end; ++r)
    std::memcpy(row_of<float>(call->outputs[0], r),
                row_of<float>(call->inputs[0], call->step->output_rows[r]), n * sizeof(float));
  return PERDURE_OK;
}

constexpr std::array kKernels = {
    operation_kernel<StateParams>("row_input_scalar", "row_input", prepare_input, divide_rows,
                                  run_input),
    operation_kernel<StateParams>("state_read_f32_scalar", "state_read", prepare_read, divide_rows,
                                  run_read),
    operation_kernel<StateParams>("state_write_f32_scalar", "state_write", prepare_write,
                                  divide_columns, run_write, PERDURE_ITEMS_COLUMNS),
    operation_kernel<StateParams>("select_outputs_f32_scalar", "select_outputs", prepare_select,
                                  divide_rows, run_select),
};

}  // namespace

std::span<const perdure_kernel> state_kernels() { return kKernels; }

}  // namespace perdure::kernels
