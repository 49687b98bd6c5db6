// SPDX-License-Identifier: Apache-2.0

// Softmax attention, the definition, in the order of llama2.c: all scores, their maximum,
// exponentials summed left to right, each divided by the sum, then the weighted values key by key.
#include <algorithm>
#include <array>
#include <cmath>

#include "plugins/kernels/common/prepare.hpp"

namespace perdure::kernels {
namespace {

constexpr int64_t kKeptScores = 4096;  // scores beyond these are computed again each time

size_t scratch_bytes(const perdure_node*, const void*) { return kKeptScores * sizeof(float); }

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

  // The head's part of row `key` of keys or values with `size` columns in a head.
  const float* key_row(uint32_t input, int64_t key, int64_t size) const {
    const auto view = key_rows_of(*call.step, call.step->rows[row].session, call.inputs[input]);
    return state_row(view, key) + head / p.heads_per_kv * size;
  }

  struct Turn {
    float cosine, sine;
  };

  Turn angle(int64_t place, int64_t pair) const {
    const float* angles = row_of<float>(call.inputs[p.angles], place);
    return {load_f32(angles, 2 * pair), load_f32(angles, 2 * pair + 1)};
  }

  // How a pair of columns of a key is rotated.
  Turn turn_of(int64_t r, int64_t key, int64_t pair) const {
    const int64_t shift = range(r)[2], block = p.ranges[r].angle_block;
    if (block == 0) return angle((key + shift) / p.ranges[r].group, pair);
    const Turn a = angle(shift + key % block, pair), b = angle(shift + block + key / block, pair);
    return {a.cosine * b.cosine - a.sine * b.sine, a.cosine * b.sine + a.sine * b.cosine};
  }

  float rotated_product(int64_t r, int64_t key, const float* q, const float* k) const {
    const int64_t n_pairs = p.rotation.rotary / 2;
    float sum = 0.0f;
    for (int64_t pair = 0; pair < n_pairs; ++pair) {
      const int64_t a = p.rotation.halves ? pair : 2 * pair;
      const int64_t b = p.rotation.halves ? pair + n_pairs : 2 * pair + 1;
      const Turn turn = turn_of(r, key, pair);
      sum += q[a] * (k[a] * turn.cosine - k[b] * turn.sine);
      sum += q[b] * (k[a] * turn.sine + k[b] * turn.cosine);
    }
    for (int64_t i = p.rotation.rotary; i < p.head_size; ++i) sum += q[i] * k[i];
    return sum;
  }

  float product(int64_t r, int64_t key) const {
    const float* q = row_of<float>(call.inputs[p.ranges[r].query], row) + head * p.head_size;
    const float* k = key_row(p.ranges[r].input, key, p.head_size);
    if (p.ranges[r].rotate) return rotated_product(r, key, q, k);
    float sum = 0.0f;
    for (int64_t i = 0; i < p.head_size; ++i) sum += q[i] * k[i];
    return sum;
  }

  float score(int64_t r, int64_t key) const {
    float s = product(r, key);
    s = p.scale != 0.0f ? s * p.scale : s / std::sqrt(static_cast<float>(p.head_size));
    if (p.cap != 0.0f) s = p.cap * std::tanh(s / p.cap);
    if (p.slopes == 0) return s;
    const int64_t place = *row_of<int64_t>(call.inputs[p.slopes + 1], row);
    const float distance = static_cast<float>(std::abs(place - (key + range(r)[2])));
    return s - load_f32(call.inputs[p.slopes].tensor.data, head) * distance;
  }

  // visit(range, key) in order.
  template <typename Visit>
  void for_each_place(Visit visit) const {
    for (int64_t r = 0; r < p.n_ranges; ++r) {
      const uint32_t list = p.ranges[r].list;
      const int64_t* keys = list == 0 ? nullptr : row_of<int64_t>(call.inputs[list], row);
      for (int64_t i = range(r)[0]; i < range(r)[1]; ++i) visit(r, keys == nullptr ? i : keys[i]);
    }
  }

  // visit(range, key, score) in order.
  template <typename Visit>
  void for_each_key(Visit visit) const {
    int64_t i = 0;
    for_each_place([&](int64_t r, int64_t key) {
      visit(r, key, i < kKeptScores ? kept[i] : score(r, key));
      ++i;
    });
  }

  void keep_scores() {
    int64_t i = 0;
    for_each_place([&](int64_t r, int64_t key) {
      if (i < kKeptScores) kept[i] = score(r, key);
      ++i;
    });
  }

  // The weighted values to y [value_size]; weighed(range, key, weight) hears of each weight.
  template <typename Weighed>
  void attend(float* y, Weighed weighed) {
    keep_scores();
    float largest = -INFINITY;
    for_each_key([&](int64_t, int64_t, float s) { largest = std::max(largest, s); });
    float sum = 0.0f;
    for_each_key([&](int64_t, int64_t, float s) { sum += std::exp(s - largest); });
    std::fill(y, y + p.value_size, 0.0f);
    for_each_key([&](int64_t r, int64_t key, float s) {
      const float weight = std::exp(s - largest) / sum;
      const float* v = key_row(p.ranges[r].input + 1, key, p.value_size);
      for (int64_t i = 0; i < p.value_size; ++i) y[i] += weight * v[i];
      weighed(r, key, weight);
    });
  }

  float* output() const { return row_of<float>(call.outputs[0], row) + head * p.value_size; }
};

// Items are heads of rows.
void divide(const perdure_call* call, perdure_work* work) {
  *work = {call->step->n_rows * static_cast<const AttendParams*>(call->params)->n_heads, 1};
}

int run(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& p = *static_cast<const AttendParams*>(call->params);
  for (int64_t item = begin; item < end; ++item) {
    Head head{*call, p, item / p.n_heads, item % p.n_heads, static_cast<float*>(scratch)};
    head.attend(head.output(), [](int64_t, int64_t, float) {});
  }
  return PERDURE_OK;
}

// Items are columns of the weights of sessions: the thread that computes one goes through all rows
// of the session in order, so that each sum is made by one participant, always in the same order.
void divide_weighing(const perdure_call* call, perdure_work* work) {
  const auto& p = *static_cast<const AttendParams*>(call->params);
  *work = {call->step->n_sessions * p.n_weight_columns, 1};
}

// One column of the weights of one session.
struct WeightColumn {
  const AttendParams& p;
  const perdure_state_view& view;
  int64_t column;

  void add(int64_t r, int64_t key, float weight) const {
    if (!p.ranges[r].weigh) return;
    char* to = perdure_state_row(&view, key);
    if (to < view.data + view.n_rows * view.row_bytes)
      reinterpret_cast<float*>(to)[column] += weight;
  }
};

int run_weighing(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& p = *static_cast<const AttendParams*>(call->params);
  const int64_t n_heads = p.n_heads / p.n_weight_columns;  // of a column
  for (int64_t item = begin; item < end; ++item) {
    const int64_t session = item / p.n_weight_columns;
    const perdure_session& rows = call->step->sessions[session];
    const WeightColumn sums{p, rows.states[call->inputs[0].state], item % p.n_weight_columns};
    for (int64_t row = rows.first_row; row < rows.first_row + rows.n_rows; ++row)
      for (int64_t h = sums.column * n_heads; h < (sums.column + 1) * n_heads; ++h) {
        Head head{*call, p, row, h, static_cast<float*>(scratch)};
        head.attend(head.output(),
                    [&](int64_t r, int64_t key, float weight) { sums.add(r, key, weight); });
      }
  }
  return PERDURE_OK;
}

constexpr perdure_kernel with_scratch(perdure_kernel kernel) {
  kernel.scratch_bytes = scratch_bytes;
  return kernel;
}

constexpr std::array kKernels = {
    with_scratch(operation_kernel<AttendParams>("attend_f32_scalar", "attend", prepare_attend,
                                                divide, run, PERDURE_ITEMS_ELEMENTS)),
    with_scratch(operation_kernel<AttendParams>("attend_weighing_f32_scalar", "attend_weighing",
                                                prepare_attend, divide_weighing, run_weighing,
                                                PERDURE_ITEMS_ELEMENTS)),
};

}  // namespace

std::span<const perdure_kernel> attend_kernels() { return kKernels; }

}  // namespace perdure::kernels
