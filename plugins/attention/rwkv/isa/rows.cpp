// SPDX-License-Identifier: Apache-2.0

// What is not a recurrence: shifts, and what version 7 makes of its rows.
#include "plugins/attention/rwkv/isa/lanes.hpp"
#include "plugins/attention/rwkv/isa/runs.hpp"
#include "sdk/group_attention.hpp"

namespace perdure::rwkv::PERDURE_ISA {
namespace {

// One row of a block of channels: x, the row before it, and what becomes of them.
inline void shift_row(const ShiftParams& p, const perdure_call& call, int64_t row,
                      const Channels& channels, const float* previous) {
  const float* x = row_at(call.inputs[0], row, channels.first);
  for (int64_t i = 0; i < p.n_lerps; ++i) {
    const float* lerp = row_at(call.inputs[1], i, channels.first);
    float* y = row_at(call.outputs[i], row, channels.first);
    for_each_vector(channels.count, [&](int64_t c, int64_t n) {
      const Lanes now = load(x + c, n);
      store(y + c, now + (load(previous + c, n) - now) * load(lerp + c, n), n);
    });
  }
  if (!p.previous) return;
  float* y = row_at(call.outputs[p.n_lerps], row, channels.first);
  for_each_vector(channels.count,
                  [&](int64_t c, int64_t n) { store(y + c, load(previous + c, n), n); });
}

inline void shift_channels(const ShiftParams& p, const perdure_call& call, const Item& item) {
  const Channels channels = channels_of(item, p.n);
  float* state =
      state_row(state_of(*call.step, item.session_number, call.inputs[2]), 0) + channels.first;
  const float* previous = state;
  for (int64_t row = item.first_row(); row < item.end_row(); ++row) {
    shift_row(p, call, row, channels, previous);
    previous = row_at(call.inputs[0], row, channels.first);
  }
  for_each_vector(channels.count,
                  [&](int64_t c, int64_t n) { store(state + c, load(previous + c, n), n); });
}

// The Euclidean norm of k * k_k over a head, at least kLeastNorm.
inline float norm_of(const float* k, const float* k_k, int64_t count) {
  Lanes squares = {};
  for_each_vector(count, [&](int64_t i, int64_t n) {
    const Lanes z = load(k + i, n) * load(k_k + i, n);
    squares += z * z;
  });
  const float norm = __builtin_sqrtf(sum(squares));
  return norm < kLeastNorm ? kLeastNorm : norm;
}

}  // namespace

int run_token_shift(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const ShiftParams*>(call->params);
  for (int64_t i = begin; i < end; ++i) shift_channels(p, *call, item_of(*call, i, p.n_blocks));
  return PERDURE_OK;
}

int run_lerp(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const RowParams*>(call->params);
  for (int64_t row = begin; row < end; ++row) {
    const float *a = row_at(call->inputs[0], row, 0), *b = row_at(call->inputs[1], row, 0),
                *t = row_at(call->inputs[2], row, 0);
    float* y = row_at(call->outputs[0], row, 0);
    for_each_vector(p.n, [&](int64_t i, int64_t n) {
      const Lanes from = load(a + i, n);
      store(y + i, from + (load(b + i, n) - from) * load(t + i, n), n);
    });
  }
  return PERDURE_OK;
}

int run_wkv7_keys(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const HeadParams*>(call->params);
  for (int64_t row = begin; row < end; ++row)
    for (int64_t first = 0; first < p.n; first += p.head_size) {
      const float *k = row_at(call->inputs[0], row, first),
                  *rate = row_at(call->inputs[1], row, first);
      const float *k_k = vector_of(call->inputs[2]) + first,
                  *k_a = vector_of(call->inputs[3]) + first;
      const Lanes norm = all(norm_of(k, k_k, p.head_size));
      for_each_vector(p.head_size, [&](int64_t i, int64_t n) {
        const Lanes key = load(k + i, n), speed = load(rate + i, n);
        const Lanes z = key * load(k_k + i, n) / norm;
        store(row_at(call->outputs[0], row, first + i),
              key * (1.0f + (speed - 1.0f) * load(k_a + i, n)), n);
        store(row_at(call->outputs[1], row, first + i), -z, n);
        store(row_at(call->outputs[2], row, first + i), z * speed, n);
      });
    }
  return PERDURE_OK;
}

int run_wkv7_bonus(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const HeadParams*>(call->params);
  for (int64_t row = begin; row < end; ++row)
    for (int64_t first = 0; first < p.n; first += p.head_size) {
      const float *y = row_at(call->inputs[0], row, first),
                  *r = row_at(call->inputs[1], row, first),
                  *k = row_at(call->inputs[2], row, first),
                  *v = row_at(call->inputs[3], row, first);
      const float* r_k = vector_of(call->inputs[4]) + first;
      Lanes sums = {};
      for_each_vector(p.head_size, [&](int64_t i, int64_t n) {
        sums += load(r + i, n) * load(k + i, n) * load(r_k + i, n);
      });
      const Lanes bonus = all(sum(sums));
      for_each_vector(p.head_size, [&](int64_t i, int64_t n) {
        store(row_at(call->outputs[0], row, first + i), load(y + i, n) + bonus * load(v + i, n), n);
      });
    }
  return PERDURE_OK;
}

int run_row_groups(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& p = *static_cast<const GroupParams*>(call->params);
  for (int64_t row = begin; row < end; ++row) {
    const GroupWindow window{&call->inputs[0], &call->outputs[0], row, 1, p.n_heads, p.head_size};
    for (int64_t part = 0; part < kGroupParts; ++part)
      group_attend(window, part, 0, static_cast<float*>(scratch));
  }
  return PERDURE_OK;
}

}  // namespace perdure::rwkv::PERDURE_ISA
