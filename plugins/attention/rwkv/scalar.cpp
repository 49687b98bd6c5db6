// SPDX-License-Identifier: Apache-2.0

// The operations as their definitions say, one value after the other.
#include <algorithm>
#include <cmath>

#include "plugins/attention/rwkv/run.hpp"
#include "sdk/group_attention.hpp"

namespace perdure::rwkv::scalar {
namespace {

void shift_channels(const ShiftParams& p, const perdure_call& call, const Item& item) {
  const Channels channels = channels_of(item, p.n);
  float* state = state_row(state_of(*call.step, item.session_number, call.inputs[2]), 0);
  for (int64_t c = channels.first; c < channels.first + channels.count; ++c) {
    float previous = state[c];
    for (int64_t row = item.first_row(); row < item.end_row(); ++row) {
      const float x = *row_at(call.inputs[0], row, c);
      for (int64_t i = 0; i < p.n_lerps; ++i)
        *row_at(call.outputs[i], row, c) = x + (previous - x) * *row_at(call.inputs[1], i, c);
      if (p.previous) *row_at(call.outputs[p.n_lerps], row, c) = previous;
      previous = x;
    }
    state[c] = previous;
  }
}

void wkv4_channel(const perdure_call& call, const Item& item, int64_t c) {
  const perdure_state_view& state = state_of(*call.step, item.session_number, call.inputs[4]);
  const float decay = vector_of(call.inputs[2])[c], first = vector_of(call.inputs[3])[c];
  float a = state_row(state, 0)[c], b = state_row(state, 1)[c], p = state_row(state, 2)[c];
  for (int64_t row = item.first_row(); row < item.end_row(); ++row) {
    const float k = *row_at(call.inputs[0], row, c), v = *row_at(call.inputs[1], row, c);
    const float now = std::max(p, first + k);
    const float old_weight = std::exp(p - now), new_weight = std::exp(first + k - now);
    *row_at(call.outputs[0], row, c) =
        (old_weight * a + new_weight * v) / (old_weight * b + new_weight);
    const float next = std::max(p + decay, k);
    const float kept = std::exp(p + decay - next), added = std::exp(k - next);
    a = kept * a + added * v;
    b = kept * b + added;
    p = next;
  }
  state_row(state, 0)[c] = a;
  state_row(state, 1)[c] = b;
  state_row(state, 2)[c] = p;
}

// One row of one head; pointers are those of the head's first channel.
void wkv5_row(const perdure_state_view& state, int64_t first, int64_t m, const float* r,
              const float* k, const float* v, const float* decay, const float* bonus, float* y) {
  std::fill(y, y + m, 0.0f);
  for (int64_t i = 0; i < m; ++i) {
    float* s = state_row(state, first + i);
    for (int64_t j = 0; j < m; ++j) {
      const float kv = k[i] * v[j];
      y[j] += r[i] * (s[j] + bonus[i] * kv);
      s[j] = decay[i] * s[j] + kv;
    }
  }
}

void wkv7_row(const perdure_state_view& state, int64_t first, int64_t m, const float* const* in,
              float* sums, float* y) {
  const float *r = in[0], *decay = in[1], *k = in[2], *v = in[3], *a = in[4], *b = in[5];
  std::fill(sums, sums + m, 0.0f);
  std::fill(y, y + m, 0.0f);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < m; ++j) sums[j] += a[i] * state_row(state, first + i)[j];
  for (int64_t i = 0; i < m; ++i) {
    float* s = state_row(state, first + i);
    for (int64_t j = 0; j < m; ++j) {
      s[j] = s[j] * decay[i] + sums[j] * b[i] + v[j] * k[i];
      y[j] += r[i] * s[j];
    }
  }
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
    for (int64_t c = 0; c < p.n; ++c) y[c] = a[c] + (b[c] - a[c]) * t[c];
  }
  return PERDURE_OK;
}

int run_wkv4(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const Wkv4Params*>(call->params);
  for (int64_t i = begin; i < end; ++i) {
    const Item item = item_of(*call, i, p.n_blocks);
    const Channels channels = channels_of(item, p.n);
    for (int64_t c = 0; c < channels.count; ++c) wkv4_channel(*call, item, channels.first + c);
  }
  return PERDURE_OK;
}

int run_wkv5(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const HeadParams*>(call->params);
  for (int64_t i = begin; i < end; ++i) {
    const Item item = item_of(*call, i, p.n_heads);
    const int64_t first = item.part * p.head_size;
    const auto at = [&](uint32_t input, int64_t row) {
      return row_at(call->inputs[input], row, first);
    };
    for (int64_t row = item.first_row(); row < item.end_row(); ++row)
      wkv5_row(state_of(*call->step, item.session_number, call->inputs[5]), first, p.head_size,
               at(0, row), at(1, row), at(2, row), at(3, p.decay_by_row ? row : 0), at(4, 0),
               row_at(call->outputs[0], row, first));
  }
  return PERDURE_OK;
}

int run_wkv7(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& p = *static_cast<const HeadParams*>(call->params);
  for (int64_t i = begin; i < end; ++i) {
    const Item item = item_of(*call, i, p.n_heads);
    const int64_t first = item.part * p.head_size;
    for (int64_t row = item.first_row(); row < item.end_row(); ++row) {
      const float* in[6];
      for (int64_t input = 0; input < 6; ++input)
        in[input] = row_at(call->inputs[input], row, first);
      wkv7_row(state_of(*call->step, item.session_number, call->inputs[6]), first, p.head_size, in,
               static_cast<float*>(scratch), row_at(call->outputs[0], row, first));
    }
  }
  return PERDURE_OK;
}

int run_wkv7_keys(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const HeadParams*>(call->params);
  const float *k_k = vector_of(call->inputs[2]), *k_a = vector_of(call->inputs[3]);
  for (int64_t row = begin; row < end; ++row)
    for (int64_t first = 0; first < p.n; first += p.head_size) {
      const float *k = row_at(call->inputs[0], row, 0), *rate = row_at(call->inputs[1], row, 0);
      float squares = 0.0f;
      for (int64_t c = first; c < first + p.head_size; ++c)
        squares += (k[c] * k_k[c]) * (k[c] * k_k[c]);
      const float norm = std::max(std::sqrt(squares), kLeastNorm);
      for (int64_t c = first; c < first + p.head_size; ++c) {
        const float z = k[c] * k_k[c] / norm;
        *row_at(call->outputs[0], row, c) = k[c] * (1.0f + (rate[c] - 1.0f) * k_a[c]);
        *row_at(call->outputs[1], row, c) = -z;
        *row_at(call->outputs[2], row, c) = z * rate[c];
      }
    }
  return PERDURE_OK;
}

int run_wkv7_bonus(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const HeadParams*>(call->params);
  const float* r_k = vector_of(call->inputs[4]);
  for (int64_t row = begin; row < end; ++row)
    for (int64_t first = 0; first < p.n; first += p.head_size) {
      const float *y = row_at(call->inputs[0], row, 0), *r = row_at(call->inputs[1], row, 0);
      const float *k = row_at(call->inputs[2], row, 0), *v = row_at(call->inputs[3], row, 0);
      float sum = 0.0f;
      for (int64_t c = first; c < first + p.head_size; ++c) sum += r[c] * k[c] * r_k[c];
      for (int64_t c = first; c < first + p.head_size; ++c)
        *row_at(call->outputs[0], row, c) = y[c] + sum * v[c];
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

}  // namespace perdure::rwkv::scalar
