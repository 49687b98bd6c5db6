// SPDX-License-Identifier: Apache-2.0

// Softmax attention, the definition, in the order of llama2.c: all scores, their maximum,
// exponentials summed left to right, each divided by the sum, then the weighted values key by key.
#include <algorithm>
#include <array>
#include <cmath>

#include "plugins/kernels/scalar/scalar.hpp"

namespace perdure::scalar {
namespace {

constexpr int64_t kKeptScores = 4096;  // scores beyond these are computed again each time

size_t scratch_bytes(const perdure_node*, const void*) { return kKeptScores * sizeof(float); }

void divide(const perdure_call* call, perdure_work* work) {
  *work = {call->step->n_rows * static_cast<const AttendParams*>(call->params)->n_heads, 1};
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
    const auto view = key_rows_of(*call.step, call.step->rows[row].session, call.inputs[input]);
    return state_row(view, key) + head / p.heads_per_kv * p.head_size;
  }

  struct Turn {
    float cosine, sine;
  };

  Turn angle(int64_t place, int64_t i) const {
    const float* angles = row_of<float>(call.inputs[p.angles], place);
    return {load_f32(angles, i), load_f32(angles, i + 1)};
  }

  // How the pair at column i of a key is rotated.
  Turn turn_of(int64_t r, int64_t key, int64_t i) const {
    const int64_t shift = range(r)[2], block = p.ranges[r].angle_block;
    if (block == 0) return angle((key + shift) / p.ranges[r].group, i);
    const Turn a = angle(shift + key % block, i), b = angle(shift + block + key / block, i);
    return {a.cosine * b.cosine - a.sine * b.sine, a.cosine * b.sine + a.sine * b.cosine};
  }

  float score(int64_t r, int64_t key) const {
    const KeyRangeParams& range_params = p.ranges[r];
    const float* q = row_of<float>(call.inputs[range_params.query], row) + head * p.head_size;
    const float* k = state(range_params.input, key);
    float sum = 0.0f;
    if (range_params.rotate) {
      for (int64_t i = 0; i < p.head_size; i += 2) {
        const Turn turn = turn_of(r, key, i);
        sum += q[i] * (k[i] * turn.cosine - k[i + 1] * turn.sine);
        sum += q[i + 1] * (k[i] * turn.sine + k[i + 1] * turn.cosine);
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

int run(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& p = *static_cast<const AttendParams*>(call->params);
  for (int64_t item = begin; item < end; ++item) {
    Head head{*call, p, item / p.n_heads, item % p.n_heads, static_cast<float*>(scratch)};
    head.attend(row_of<float>(call->outputs[0], head.row) + head.head * p.head_size);
  }
  return PERDURE_OK;
}

constexpr perdure_kernel attend_kernel() {
  perdure_kernel kernel = operation_kernel<AttendParams>(
      "attend_f32_scalar", "attend", prepare_attend, divide, run, PERDURE_ITEMS_ELEMENTS);
  kernel.scratch_bytes = scratch_bytes;
  return kernel;
}

constexpr std::array kKernels = {attend_kernel()};

}  // namespace

std::span<const perdure_kernel> attend_kernels() { return kKernels; }

}  // namespace perdure::scalar
