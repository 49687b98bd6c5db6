// SPDX-License-Identifier: Apache-2.0

// Softmax attention, the definition, in the order of llama2.c: all scores, their maximum,
// exponentials summed left to right, each divided by the sum, then the weighted values key by key.
#include <algorithm>
#include <array>
#include <cmath>

#include "plugins/kernels/scalar/node.hpp"

namespace perdure::scalar {
namespace {

constexpr int64_t kMaxRanges = 8;
constexpr int64_t kKeptScores = 4096;  // scores beyond these are computed again each time

struct RangeParams {
  uint32_t input;  // of keys, values and range: input, input + 1, input + 2
  uint32_t query;
  int64_t group;
  bool rotate;
};

struct AttendParams {
  RowParams rows;
  int64_t n_heads;
  int64_t heads_per_kv;
  int64_t head_size;
  int64_t n_ranges;
  uint32_t angles;  // input, if a range rotates
  RangeParams ranges[kMaxRanges];
};

int prepare_range(const perdure_node& node, int64_t r, AttendParams& p) {
  const auto attribute = [&](const char* stem, int64_t otherwise) {
    const char name[] = {static_cast<char>('0' + r), '\0'};
    char full[16] = {};
    std::strcat(std::strcat(std::strcat(full, stem), "."), name);
    return perdure_attribute_int(&node, full, otherwise);
  };
  const int64_t n_queries = perdure_attribute_int(&node, "n_queries", 1);
  RangeParams& range = p.ranges[r];
  range.input = static_cast<uint32_t>(n_queries + 3 * r);
  range.query = static_cast<uint32_t>(attribute("query", 0));
  range.group = attribute("group", 1);
  range.rotate = attribute("rotate", 0) != 0;
  const int64_t kv_columns = p.n_heads / p.heads_per_kv * p.head_size;
  const perdure_value* in = node.inputs + range.input;
  const bool fits = is_state(in[0]) && is_state(in[1]) && is_rows(in[2], PERDURE_I64) &&
                    columns(in[0]) == kv_columns && columns(in[1]) == kv_columns &&
                    columns(in[2]) == 3 && range.query < n_queries && range.group >= 1;
  if (!fits) return PERDURE_DECLINED;
  if (!range.rotate) return PERDURE_OK;
  return p.angles < node.n_inputs && p.head_size % 2 == 0 &&
                 is_constant(node.inputs[p.angles], PERDURE_F32) &&
                 columns(node.inputs[p.angles]) == p.head_size
             ? PERDURE_OK
             : PERDURE_DECLINED;
}

int prepare(const perdure_node* node, void* params) {
  auto& p = *static_cast<AttendParams*>(params);
  p.n_heads = perdure_attribute_int(node, "n_heads", 0);
  const int64_t n_kv_heads = perdure_attribute_int(node, "n_kv_heads", 0);
  const int64_t n_queries = perdure_attribute_int(node, "n_queries", 1);
  p.n_ranges = perdure_attribute_int(node, "n_ranges", 1);
  if (p.n_heads < 1 || n_kv_heads < 1 || p.n_heads % n_kv_heads != 0 || n_queries < 1 ||
      p.n_ranges < 1 || p.n_ranges > kMaxRanges || node->n_outputs != 1 ||
      node->n_inputs < n_queries + 3 * p.n_ranges)
    return PERDURE_DECLINED;
  for (int64_t q = 0; q < n_queries; ++q)
    if (!is_rows(node->inputs[q], PERDURE_F32) || columns(node->inputs[q]) % p.n_heads != 0)
      return PERDURE_DECLINED;
  p.heads_per_kv = p.n_heads / n_kv_heads;
  p.head_size = columns(node->inputs[0]) / p.n_heads;
  p.angles = static_cast<uint32_t>(n_queries + 3 * p.n_ranges);
  for (int64_t r = 0; r < p.n_ranges; ++r)
    if (prepare_range(*node, r, p) != PERDURE_OK) return PERDURE_DECLINED;
  return PERDURE_OK;
}

size_t scratch_bytes(const perdure_node*, const void*) { return kKeptScores * sizeof(float); }

void divide(const void* params, const perdure_step* step, perdure_work* work) {
  *work = {step->n_rows * static_cast<const AttendParams*>(params)->n_heads, 1};
}

// One head of one row: its keys as one list, range after range.
struct Head {
  const perdure_call& call;
  const AttendParams& p;
  int64_t row;
  int64_t head;
  float* kept;  // [kKeptScores]

  const int64_t* range(int64_t r) const {
    return row_of<int64_t>(call.inputs[p.ranges[r].input + 2], row);
  }

  const float* state(uint32_t input, int64_t key) const {
    const auto& view = state_of(*call.step, call.step->rows[row].session, call.inputs[input]);
    return state_row(view, key) + head / p.heads_per_kv * p.head_size;
  }

  float score(int64_t r, int64_t key) const {
    const RangeParams& range_params = p.ranges[r];
    const float* q = row_of<float>(call.inputs[range_params.query], row) + head * p.head_size;
    const float* k = state(range_params.input, key);
    float sum = 0.0f;
    if (range_params.rotate) {
      const int64_t place = (key + range(r)[2]) / range_params.group;
      const float* angles = row_of<float>(call.inputs[p.angles], place);
      for (int64_t i = 0; i < p.head_size; i += 2) {
        const float cosine = load_f32(angles, i), sine = load_f32(angles, i + 1);
        sum += q[i] * (k[i] * cosine - k[i + 1] * sine);
        sum += q[i + 1] * (k[i] * sine + k[i + 1] * cosine);
      }
    } else {
      for (int64_t i = 0; i < p.head_size; ++i) sum += q[i] * k[i];
    }
    return sum / std::sqrt(static_cast<float>(p.head_size));
  }

  // visit(range, key, score) in order.
  template <typename Visit>
  void for_each_key(Visit visit) const {
    int64_t i = 0;
    for (int64_t r = 0; r < p.n_ranges; ++r)
      for (int64_t key = range(r)[0]; key < range(r)[1]; ++key, ++i)
        visit(r, key, i < kKeptScores ? kept[i] : score(r, key));
  }

  void keep_scores() {
    int64_t i = 0;
    for (int64_t r = 0; r < p.n_ranges; ++r)
      for (int64_t key = range(r)[0]; key < range(r)[1] && i < kKeptScores; ++key, ++i)
        kept[i] = score(r, key);
  }

  void attend(float* y) {
    keep_scores();
    float largest = -INFINITY;
    for_each_key([&](int64_t, int64_t, float s) { largest = std::max(largest, s); });
    float sum = 0.0f;
    for_each_key([&](int64_t, int64_t, float s) { sum += std::exp(s - largest); });
    std::fill(y, y + p.head_size, 0.0f);
    for_each_key([&](int64_t r, int64_t key, float s) {
      const float weight = std::exp(s - largest) / sum;
      const float* v = state(p.ranges[r].input + 1, key);
      for (int64_t i = 0; i < p.head_size; ++i) y[i] += weight * v[i];
    });
  }
};

void run(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& p = *static_cast<const AttendParams*>(call->params);
  for (int64_t item = begin; item < end; ++item) {
    Head head{*call, p, item / p.n_heads, item % p.n_heads, static_cast<float*>(scratch)};
    head.attend(row_of<float>(call->outputs[0], head.row) + head.head * p.head_size);
  }
}

constexpr perdure_kernel attend_kernel() {
  perdure_kernel kernel =
      make_kernel<AttendParams>("attend_f32_scalar", "attend", prepare, divide, run);
  kernel.scratch_bytes = scratch_bytes;
  return kernel;
}

constexpr std::array kKernels = {attend_kernel()};

}  // namespace

std::span<const perdure_kernel> attend_kernels() { return kKernels; }

}  // namespace perdure::scalar
