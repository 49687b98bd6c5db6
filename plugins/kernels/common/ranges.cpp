// SPDX-License-Identifier: Apache-2.0

// Which keys a row sees: first, end and shift, from its own place among them.
#include <algorithm>
#include <array>

#include "plugins/kernels/common/prepare.hpp"

namespace perdure::kernels {
namespace {

int64_t* integers(const perdure_value& v, int64_t row) { return row_of<int64_t>(v, row); }

bool makes_range(const perdure_node& node, uint32_t n_inputs) {
  if (node.n_inputs != n_inputs || node.n_outputs != 1 || !is_rows(node.outputs[0], PERDURE_I64))
    return false;
  for (uint32_t i = 0; i < n_inputs; ++i)
    if (!is_rows(node.inputs[i], PERDURE_I64)) return false;
  return true;
}

struct WindowParams {
  RowParams rows;
  int64_t window, lowest, all_from, rebase;
};

int prepare_window(const perdure_node* node, void* params) {
  if (!makes_range(*node, 1)) return PERDURE_DECLINED;
  *static_cast<WindowParams*>(params) = {{false},
                                         perdure_attribute_int(node, "window", 0),
                                         perdure_attribute_int(node, "lowest", 0),
                                         perdure_attribute_int(node, "all_from", -1),
                                         perdure_attribute_int(node, "rebase", 0)};
  return PERDURE_OK;
}

int run_window(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const WindowParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t index = *integers(call->inputs[0], r);
    const bool sees_all = p.window == 0 || (p.all_from >= 0 && index >= p.all_from);
    const int64_t stop = index + 1;
    const int64_t first = std::min(sees_all ? p.lowest : std::max(p.lowest, stop - p.window), stop);
    int64_t* range = integers(call->outputs[0], r);
    range[0] = first;
    range[1] = stop;
    range[2] = p.rebase != 0 ? p.lowest - first : 0;
  }
  return PERDURE_OK;
}

struct SinkParams {
  RowParams rows;
  int64_t sinks;
};

int prepare_sinks(const perdure_node* node, void* params) {
  if (!makes_range(*node, 1)) return PERDURE_DECLINED;
  *static_cast<SinkParams*>(params) = {{false}, perdure_attribute_int(node, "sinks", 0)};
  return PERDURE_OK;
}

int run_sinks(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t sinks = static_cast<const SinkParams*>(call->params)->sinks;
  for (int64_t r = begin; r < end; ++r) {
    int64_t* range = integers(call->outputs[0], r);
    range[0] = 0;
    range[1] = std::min(sinks, *integers(call->inputs[0], r) + 1);
    range[2] = 0;
  }
  return PERDURE_OK;
}

// Every row of the session: as many keys as `count` says, from the first.
template <typename Count>
void fill_whole_ranges(const perdure_call* call, int64_t begin, int64_t end, Count count) {
  for (int64_t r = begin; r < end; ++r) {
    int64_t* range = integers(call->outputs[0], r);
    range[0] = 0;
    range[1] = count(call->step->rows[r].session);
    range[2] = 0;
  }
}

int run_step_range(const perdure_call* call, int64_t begin, int64_t end, void*) {
  fill_whole_ranges(call, begin, end,
                    [&](int32_t session) { return call->step->sessions[session].n_rows; });
  return PERDURE_OK;
}

int prepare_step_range(const perdure_node* node, void* params) {
  if (!makes_range(*node, 0)) return PERDURE_DECLINED;
  *static_cast<RowParams*>(params) = {false};
  return PERDURE_OK;
}

int prepare_live_range(const perdure_node* node, void* params) {
  if (node->n_inputs != 1 || !is_state(node->inputs[0]) || node->n_outputs != 1 ||
      !is_rows(node->outputs[0], PERDURE_I64))
    return PERDURE_DECLINED;
  *static_cast<RowParams*>(params) = {false};
  return PERDURE_OK;
}

int run_live_range(const perdure_call* call, int64_t begin, int64_t end, void*) {
  fill_whole_ranges(call, begin, end, [&](int32_t session) {
    const perdure_state_view& view = state_of(*call->step, session, call->inputs[0]);
    return view.count != nullptr ? *view.count : view.live_rows;
  });
  return PERDURE_OK;
}

struct CutParams {
  RowParams rows;
  int64_t near;
  bool far;
};

int prepare_cut(const perdure_node* node, void* params) {
  if (!makes_range(*node, 2)) return PERDURE_DECLINED;
  *static_cast<CutParams*>(params) = {
      {false}, perdure_attribute_int(node, "near", 0), perdure_attribute_int(node, "far", 0) != 0};
  return PERDURE_OK;
}

int run_cut(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const CutParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t* from = integers(call->inputs[0], r);
    const int64_t cut = *integers(call->inputs[1], r) + 1 - p.near;
    const int64_t edge = std::clamp(cut, from[0], std::max(from[0], from[1]));
    int64_t* range = integers(call->outputs[0], r);
    range[0] = p.far ? from[0] : edge;
    range[1] = p.far ? edge : from[1];
    range[2] = from[2];
  }
  return PERDURE_OK;
}

int prepare_shift(const perdure_node* node, void* params) {
  if (!makes_range(*node, 2)) return PERDURE_DECLINED;
  *static_cast<RowParams*>(params) = {false};
  return PERDURE_OK;
}

int run_shift(const perdure_call* call, int64_t begin, int64_t end, void*) {
  for (int64_t r = begin; r < end; ++r) {
    const int64_t* from = integers(call->inputs[0], r);
    int64_t* range = integers(call->outputs[0], r);
    range[0] = from[0];
    range[1] = from[1];
    range[2] = *integers(call->inputs[1], r);
  }
  return PERDURE_OK;
}

constexpr std::array kKernels = {
    operation_kernel<WindowParams>("window_range_scalar", "window_range", prepare_window,
                                   divide_rows, run_window),
    operation_kernel<SinkParams>("sink_range_scalar", "sink_range", prepare_sinks, divide_rows,
                                 run_sinks),
    operation_kernel<RowParams>("step_range_scalar", "step_range", prepare_step_range, divide_rows,
                                run_step_range),
    operation_kernel<RowParams>("live_range_scalar", "live_range", prepare_live_range, divide_rows,
                                run_live_range),
    operation_kernel<CutParams>("cut_range_scalar", "cut_range", prepare_cut, divide_rows, run_cut),
    operation_kernel<RowParams>("shift_range_scalar", "shift_range", prepare_shift, divide_rows,
                                run_shift),
};

}  // namespace

std::span<const perdure_kernel> range_kernels() { return kKernels; }

}  // namespace perdure::kernels
