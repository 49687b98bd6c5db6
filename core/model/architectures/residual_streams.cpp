// SPDX-License-Identifier: Apache-2.0

// The two operations, and one kernel of each: sums run in lanes, which every compiler makes vectors
// of, so that the numbers are the same for all instruction sets.
#include "core/model/architectures/residual_streams.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/api/operations.hpp"
#include "sdk/kernel.hpp"
#include "sdk/shape_rules.hpp"

namespace perdure {
namespace {

using namespace kernels;

constexpr float kLeastNorm = 1e-12f;
constexpr int64_t kLanes = 16;

// --- Kernels. ---

struct ReadParams {
  int64_t n_streams, width;
  bool mixed;
};

float sum_of(const std::array<float, kLanes>& lanes) {
  float sum = 0.0f;
  for (const float lane : lanes) sum += lane;
  return sum;
}

// sum_i a[i] * b[i]
float product(const float* a, const float* b, int64_t n) {
  std::array<float, kLanes> lanes{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  for (; i < n; ++i) lanes[i % kLanes] += a[i] * b[i];
  return sum_of(lanes);
}

// to += factor * from
void add_scaled(float* to, const float* from, float factor, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] += factor * from[i];
}

void read_row(const ReadParams& p, const perdure_call& call, int64_t row, float* z) {
  const int64_t n = p.width, n_columns = p.n_streams + 2;
  const float* streams = row_of<float>(call.inputs[0], row);
  const float *norm = row_of<float>(call.inputs[1], 0), *scale = row_of<float>(call.inputs[3], 0);
  float* input = row_of<float>(call.outputs[0], row);
  float* shares = row_of<float>(call.outputs[1], row);
  float* base = p.mixed ? row_of<float>(call.outputs[2], row) : nullptr;
  std::fill(input, input + n, 0.0f);
  if (base != nullptr) std::fill(base, base + p.n_streams * n, 0.0f);
  for (int64_t s = 0; s < p.n_streams; ++s) {
    const float* h = streams + s * n;
    const float factor =
        std::sqrt(static_cast<float>(n)) / std::max(std::sqrt(product(h, h, n)), kLeastNorm);
    for (int64_t i = 0; i < n; ++i) z[i] = h[i] * factor * norm[i];
    const float* constant = row_of<float>(call.inputs[4], s);
    const auto weight = [&](int64_t column) {
      const float dynamic = product(z, row_of<float>(call.inputs[2], column), n);
      return std::tanh(dynamic) * scale[column] + constant[column];
    };
    add_scaled(input, h, weight(0), n);
    for (int64_t t = 0; base != nullptr && t < p.n_streams; ++t)
      add_scaled(base + t * n, h, weight(1 + t), n);
    shares[s] = weight(n_columns - 1);
  }
}

int run_read(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& p = *static_cast<const ReadParams*>(call->params);
  for (int64_t row = begin; row < end; ++row) read_row(p, *call, row, static_cast<float*>(scratch));
  return PERDURE_OK;
}

size_t read_scratch(const perdure_node*, const void* params) {
  return static_cast<size_t>(static_cast<const ReadParams*>(params)->width) * sizeof(float);
}

int prepare_read(const perdure_node* node, void* params) {
  const bool fits = node->n_inputs == 5 && is_rows(node->inputs[0], PERDURE_F32) &&
                    std::all_of(node->inputs + 1, node->inputs + 5,
                                [](const perdure_value& v) { return is_plain(v); });
  if (!fits) return PERDURE_DECLINED;
  *static_cast<ReadParams*>(params) = {rows(node->inputs[4]), columns(node->inputs[1]),
                                       node->n_outputs == 3};
  return PERDURE_OK;
}

struct AddParams {
  int64_t n_streams, width;
};

void add_row(const AddParams& p, const perdure_call& call, int64_t row) {
  const float *base = row_of<float>(call.inputs[0], row),
              *result = row_of<float>(call.inputs[1], row),
              *shares = row_of<float>(call.inputs[2], row);
  float* y = row_of<float>(call.outputs[0], row);
  for (int64_t s = 0; s < p.n_streams; ++s)
    for (int64_t i = 0; i < p.width; ++i)
      y[s * p.width + i] = base[s * p.width + i] + shares[s] * result[i];
}

int prepare_add(const perdure_node* node, void* params) {
  if (node->n_inputs != 3 ||
      !std::all_of(node->inputs, node->inputs + 3,
                   [](const perdure_value& v) { return is_rows(v, PERDURE_F32); }))
    return PERDURE_DECLINED;
  *static_cast<AddParams*>(params) = {columns(node->inputs[2]), columns(node->inputs[1])};
  return PERDURE_OK;
}

constexpr const char* kReadAttributes[] = {"mixed", nullptr};

constexpr perdure_kernel read_kernel() {
  perdure_kernel kernel =
      make_kernel<ReadParams>("read_streams_f32_scalar", "read_streams", prepare_read,
                              divide_step_rows, run_read, kReadAttributes);
  kernel.scratch_bytes = read_scratch;
  return kernel;
}

constexpr perdure_kernel kKernels[] = {
    read_kernel(), make_row_kernel<AddParams, add_row>("add_to_streams_f32_scalar",
                                                       "add_to_streams", prepare_add)};

// --- Shapes. ---

using namespace shape_rules;

Types read_types(const Types& in, const Attributes& attributes) {
  const bool fits = in.size() == 5 && in[1].columns > 0 && in[4].rows > 0 &&
                    shape_rules::is_constant(in[1], in[1].columns) && in[1].rows == 1 &&
                    shape_rules::is_rows(in[0], in[4].rows * in[1].columns) &&
                    shape_rules::is_constant(in[2], in[1].columns) &&
                    in[2].rows == in[4].rows + 2 &&
                    shape_rules::is_constant(in[3], in[4].rows + 2) && in[3].rows == 1 &&
                    shape_rules::is_constant(in[4], in[4].rows + 2);
  require(fits, "read_streams",
          "streams [rows, S * d] and F32 constants [1, d], [S + 2, d], [1, S + 2], [S, S + 2]");
  ValueType input = in[0], shares = in[0];
  input.columns = in[1].columns;
  shares.columns = in[4].rows;
  Types all{input, shares};
  if (integer(attributes, "mixed") != 0) all.push_back(in[0]);
  return all;
}

Types add_types(const Types& in, const Attributes&) {
  const bool fits = in.size() == 3 && shape_rules::is_rows(in[1], in[1].columns) &&
                    shape_rules::is_rows(in[2], in[2].columns) &&
                    shape_rules::is_rows(in[0], in[1].columns * in[2].columns);
  require(fits, "add_to_streams", "base [rows, S * d], result [rows, d] and shares [rows, S]");
  return {in[0]};
}

}  // namespace

BlockStreams read_streams(GraphBuilder& g, Value streams, const StreamWeights& weights,
                          bool mixed) {
  const auto results = g.apply_all(
      "read_streams", {streams, weights.norm, weights.dynamic, weights.scale, weights.constant},
      {{"mixed", int64_t{mixed}}});
  return {results[0], mixed ? results[2] : streams, results[1]};
}

Value add_to_streams(GraphBuilder& g, const BlockStreams& block, Value result) {
  return g.apply("add_to_streams", {block.base, result, block.shares});
}

Value sum_of_streams(GraphBuilder& g, Value streams, int64_t n_streams) {
  const int64_t width = g.type(streams).columns / n_streams;
  Value sum = op::slice(g, streams, 0, width);
  for (int64_t s = 1; s < n_streams; ++s)
    sum = op::add(g, sum, op::slice(g, streams, s * width, width));
  return sum;
}

std::vector<Operation> residual_stream_operations() {
  return {{"read_streams", OperationKind::kRowWise, read_types},
          {"add_to_streams", OperationKind::kRowWise, add_types}};
}

std::span<const perdure_kernel> residual_stream_kernels() { return kKernels; }

}  // namespace perdure
