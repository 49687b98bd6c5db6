// SPDX-License-Identifier: Apache-2.0

// What a row derives from its position: its place in a state, its rotation, its logarithmic scale.
#include <algorithm>
#include <array>
#include <cmath>

#include "plugins/kernels/common/prepare.hpp"

namespace perdure::kernels {
namespace {

int64_t* integers(const perdure_value& v, int64_t row) { return row_of<int64_t>(v, row); }

// Whether the first input is an index per row, as `row_index` makes it.
bool takes_index(const perdure_node& node, perdure_dtype result) {
  return node.n_inputs >= 1 && node.n_outputs == 1 && is_rows(node.inputs[0], PERDURE_I64) &&
         is_rows(node.outputs[0], result);
}

struct IndexParams {
  RowParams rows;
  int64_t modulus, offset, cap;
};

int prepare_index(const perdure_node* node, void* params) {
  if (node->n_outputs != 1 || !is_rows(node->outputs[0], PERDURE_I64)) return PERDURE_DECLINED;
  *static_cast<IndexParams*>(params) = {{false},
                                        perdure_attribute_int(node, "modulus", 0),
                                        perdure_attribute_int(node, "offset", 0),
                                        perdure_attribute_int(node, "cap", 0)};
  return PERDURE_OK;
}

int run_index(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const IndexParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t position = call->step->rows[r].position;
    const int64_t index = p.offset + (p.modulus != 0 ? position % p.modulus : position);
    *integers(call->outputs[0], r) = p.cap != 0 ? std::min(index, p.cap) : index;
  }
  return PERDURE_OK;
}

int prepare_of_the_step(const perdure_node* node, void* params) {
  if (node->n_inputs != 0 || node->n_outputs != 1 || !is_rows(node->outputs[0], PERDURE_I64))
    return PERDURE_DECLINED;
  *static_cast<RowParams*>(params) = {false};
  return PERDURE_OK;
}

// One number of the row itself.
template <int64_t perdure_row::* Field>
int run_field(const perdure_call* call, int64_t begin, int64_t end, void*) {
  for (int64_t r = begin; r < end; ++r) *integers(call->outputs[0], r) = call->step->rows[r].*Field;
  return PERDURE_OK;
}

struct MapParams {
  RowParams rows;
  int64_t before, group, after;
};

int prepare_map(const perdure_node* node, void* params) {
  const int64_t group = perdure_attribute_int(node, "group", 1);
  if (!takes_index(*node, PERDURE_I64) || group < 1) return PERDURE_DECLINED;
  *static_cast<MapParams*>(params) = {{false},
                                      perdure_attribute_int(node, "before", 0),
                                      group,
                                      perdure_attribute_int(node, "after", 0)};
  return PERDURE_OK;
}

int run_map(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const MapParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t sum = *integers(call->inputs[0], r) + p.before;
    const int64_t floor = (sum >= 0 ? sum : sum - p.group + 1) / p.group;
    *integers(call->outputs[0], r) = std::max<int64_t>(0, floor + p.after);
  }
  return PERDURE_OK;
}

struct PiecewiseParams {
  RowParams rows;
  int64_t n_edges;
};

int prepare_piecewise(const perdure_node* node, void* params) {
  if (!takes_index(*node, PERDURE_I64) || node->n_inputs != 3 ||
      !is_constant(node->inputs[1], PERDURE_F32) || !is_constant(node->inputs[2], PERDURE_F32) ||
      columns(node->inputs[2]) != columns(node->inputs[1]) + 1)
    return PERDURE_DECLINED;
  *static_cast<PiecewiseParams*>(params) = {{false}, columns(node->inputs[1])};
  return PERDURE_OK;
}

int run_piecewise(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const int64_t n_edges = static_cast<const PiecewiseParams*>(call->params)->n_edges;
  for (int64_t r = begin; r < end; ++r) {
    const int64_t index = *integers(call->inputs[0], r);
    int64_t n = 0;
    while (n < n_edges && static_cast<int64_t>(load_f32(call->inputs[1].tensor.data, n)) <= index)
      ++n;
    *integers(call->outputs[0], r) = static_cast<int64_t>(load_f32(call->inputs[2].tensor.data, n));
  }
  return PERDURE_OK;
}

// Below this index an angle is the F32 product of the original programs; beyond, F32 would lose
// whole turns.
constexpr int64_t kFirstDoubleAngle = int64_t{1} << 17;

struct AnglesParams {
  RowParams rows;
  int64_t n;  // pairs
  double divisor;
  double xpos_lambda;
  int64_t xpos_sign;
  float scale;
  bool sets;  // the third input chooses a row of the frequencies
};

int prepare_angles(const perdure_node* node, void* params) {
  const bool sets = node->n_inputs == 3 && is_rows(node->inputs[2], PERDURE_I64);
  if (!takes_index(*node, PERDURE_F32) || (node->n_inputs != 2 && !sets) ||
      !is_constant(node->inputs[1], PERDURE_F32) ||
      columns(node->outputs[0]) != 2 * columns(node->inputs[1]))
    return PERDURE_DECLINED;
  *static_cast<AnglesParams*>(params) = {
      {in_outputs(node->outputs[0])},
      columns(node->inputs[1]),
      perdure_attribute_real(node, "divisor", 1.0),
      perdure_attribute_real(node, "xpos_lambda", 0.0),
      perdure_attribute_int(node, "xpos_sign", 0),
      static_cast<float>(perdure_attribute_real(node, "scale", 1.0)),
      sets};
  return PERDURE_OK;
}

float xpos_factor(const AnglesParams& p, int64_t pair, int64_t index) {
  const double base = (static_cast<double>(pair) / static_cast<double>(p.n) + p.xpos_lambda) /
                      (1.0 + p.xpos_lambda);
  return static_cast<float>(std::pow(base, static_cast<double>(p.xpos_sign * index)));
}

void fill_angles(const AnglesParams& p, int64_t index, const void* frequencies, float* y) {
  for (int64_t i = 0; i < p.n; ++i) {
    const float frequency = load_f32(frequencies, i);
    if (index < kFirstDoubleAngle && !p.sets) {
      const float angle = static_cast<float>(index) / static_cast<float>(p.divisor) * frequency;
      y[2 * i] = std::cos(angle);
      y[2 * i + 1] = std::sin(angle);
    } else {
      const double angle = static_cast<double>(index) / p.divisor * double{frequency};
      y[2 * i] = static_cast<float>(std::cos(angle));
      y[2 * i + 1] = static_cast<float>(std::sin(angle));
    }
    if (p.xpos_sign == 0 && p.scale == 1.0f) continue;
    const float factor = (p.xpos_sign != 0 ? xpos_factor(p, i, index) : 1.0f) * p.scale;
    y[2 * i] *= factor;
    y[2 * i + 1] *= factor;
  }
}

int run_angles(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const AnglesParams*>(call->params);
  for (int64_t r = begin; r < end; ++r)
    fill_angles(p, *integers(call->inputs[0], r),
                row_of<char>(call->inputs[1], p.sets ? *integers(call->inputs[2], r) : 0),
                row_of<float>(call->outputs[0], r));
  return PERDURE_OK;
}

struct LogParams {
  RowParams rows;
  double log_length;
  bool clamp;
};

int prepare_log(const perdure_node* node, void* params) {
  const int64_t length = perdure_attribute_int(node, "train_length", 0);
  if (!takes_index(*node, PERDURE_F32) || length < 2) return PERDURE_DECLINED;
  *static_cast<LogParams*>(params) = {{in_outputs(node->outputs[0])},
                                      std::log(static_cast<double>(length)),
                                      perdure_attribute_int(node, "clamp", 0) != 0};
  return PERDURE_OK;
}

int run_log(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const LogParams*>(call->params);
  for (int64_t r = begin; r < end; ++r) {
    const double index = static_cast<double>(*integers(call->inputs[0], r));
    const double factor = std::log(index + 1.0) / p.log_length;
    *row_of<float>(call->outputs[0], r) =
        static_cast<float>(p.clamp ? std::max(factor, 1.0) : factor);
  }
  return PERDURE_OK;
}

constexpr std::array kKernels = {
    operation_kernel<IndexParams>("row_index_scalar", "row_index", prepare_index, divide_rows,
                                  run_index),
    operation_kernel<RowParams>("stream_index_scalar", "stream_index", prepare_of_the_step,
                                divide_rows, run_field<&perdure_row::stream_index>),
    operation_kernel<RowParams>("segment_index_scalar", "segment_index", prepare_of_the_step,
                                divide_rows, run_field<&perdure_row::segment_index>),
    operation_kernel<RowParams>("segment_number_scalar", "segment_number", prepare_of_the_step,
                                divide_rows, run_field<&perdure_row::segment_number>),
    operation_kernel<RowParams>("segment_tokens_scalar", "segment_tokens", prepare_of_the_step,
                                divide_rows, run_field<&perdure_row::segment_tokens>),
    operation_kernel<MapParams>("map_index_scalar", "map_index", prepare_map, divide_rows, run_map),
    operation_kernel<PiecewiseParams>("piecewise_index_scalar", "piecewise_index",
                                      prepare_piecewise, divide_rows, run_piecewise),
    operation_kernel<AnglesParams>("rope_angles_f32_scalar", "rope_angles", prepare_angles,
                                   divide_rows, run_angles),
    operation_kernel<LogParams>("log_n_f32_scalar", "log_n", prepare_log, divide_rows, run_log),
};

}  // namespace

std::span<const perdure_kernel> position_kernels() { return kKernels; }

}  // namespace perdure::kernels
