// SPDX-License-Identifier: Apache-2.0

// The recurrences, in vectors of channels that no sum crosses: wkv4's channels, and the value
// channels of the matrices of wkv5 and wkv7. A head's matrix stays in the level-1 cache while its
// rows pass.
#include "plugins/attention/rwkv/isa/lanes.hpp"
#include "plugins/attention/rwkv/isa/runs.hpp"

namespace perdure::rwkv::PERDURE_ISA {
namespace {

inline Lanes larger(Lanes a, Lanes b) { return a < b ? b : a; }

// Old and new sums with the weights that their exponents give them.
struct Weights {
  Lanes old_weight, new_weight, exponent;
};

// exp(p - q) and exp(k - q) with q = max(p, k): one of them is 1.
inline Weights weights_of(Lanes p, Lanes k) {
  const Lanes q = larger(p, k);
  const Lanes difference = k - p;
  const Lanes smaller = exponential_of_negative(difference < 0.0f ? difference : -difference);
  return {difference < 0.0f ? all(1.0f) : smaller, difference < 0.0f ? smaller : all(1.0f), q};
}

inline void wkv4_vector(const perdure_call& call, const Item& item, int64_t c, int64_t n) {
  const perdure_state_view& state = state_of(*call.step, item.session_number, call.inputs[4]);
  const Lanes decay = load(vector_of(call.inputs[2]) + c, n);
  const Lanes first = load(vector_of(call.inputs[3]) + c, n);
  Lanes a = load(state_row(state, 0) + c, n), b = load(state_row(state, 1) + c, n);
  Lanes p = load(state_row(state, 2) + c, n);
  for (int64_t row = item.first_row(); row < item.end_row(); ++row) {
    const Lanes k = load(row_at(call.inputs[0], row, c), n);
    const Lanes v = load(row_at(call.inputs[1], row, c), n);
    const Weights now = weights_of(p, first + k);
    store(row_at(call.outputs[0], row, c),
          (now.old_weight * a + now.new_weight * v) / (now.old_weight * b + now.new_weight), n);
    const Weights next = weights_of(p + decay, k);
    a = next.old_weight * a + next.new_weight * v;
    b = next.old_weight * b + next.new_weight;
    p = next.exponent;
  }
  store(state_row(state, 0) + c, a, n);
  store(state_row(state, 1) + c, b, n);
  store(state_row(state, 2) + c, p, n);
}

// A head's rows and its matrix. Columns are those of the head.
struct Head {
  const HeadParams& p;
  const perdure_call& call;
  Item item;
  char* matrix;  // the first key channel's row
  int64_t row_bytes;

  int64_t first() const { return item.part * p.head_size; }
  const float* in(uint32_t input, int64_t row) const {
    return row_at(call.inputs[input], row, first());
  }
  float* out(int64_t row) const { return row_at(call.outputs[0], row, first()); }
  float* state(int64_t key) const { return reinterpret_cast<float*>(matrix + key * row_bytes); }
};

inline Head head_of(const HeadParams& p, const perdure_call& call, int64_t i, uint32_t state) {
  const Item item = item_of(call, i, p.n_heads);
  const perdure_state_view& view = state_of(*call.step, item.session_number, call.inputs[state]);
  return {p, call, item, reinterpret_cast<char*>(state_row(view, item.part * p.head_size)),
          view.row_bytes};
}

// kVectors vectors of value channels from `j` on; the last has `n` lanes.
template <int kVectors>
inline void wkv5_columns(const Head& head, int64_t j, int64_t n) {
  const auto lanes = [&](int x) { return x + 1 < kVectors ? kLanes : n; };
  const float* first = vector_of(head.call.inputs[4]) + head.first();
  for (int64_t row = head.item.first_row(); row < head.item.end_row(); ++row) {
    const float *r = head.in(0, row), *k = head.in(1, row);
    const float* decay = head.in(3, head.p.decay_by_row ? row : 0);
    Lanes v[kVectors], y[kVectors];
    for (int x = 0; x < kVectors; ++x) {
      v[x] = load(head.in(2, row) + j + x * kLanes, lanes(x));
      y[x] = Lanes{};
    }
    for (int64_t i = 0; i < head.p.head_size; ++i) {
      float* s = head.state(i) + j;
      for (int x = 0; x < kVectors; ++x) {
        const Lanes kv = k[i] * v[x], old = load(s + x * kLanes, lanes(x));
        y[x] += r[i] * (old + first[i] * kv);
        store(s + x * kLanes, decay[i] * old + kv, lanes(x));
      }
    }
    for (int x = 0; x < kVectors; ++x) store(head.out(row) + j + x * kLanes, y[x], lanes(x));
  }
}

template <int kVectors>
inline void wkv7_columns(const Head& head, int64_t j, int64_t n) {
  const auto lanes = [&](int x) { return x + 1 < kVectors ? kLanes : n; };
  for (int64_t row = head.item.first_row(); row < head.item.end_row(); ++row) {
    const float *r = head.in(0, row), *decay = head.in(1, row), *k = head.in(2, row);
    const float *a = head.in(4, row), *b = head.in(5, row);
    Lanes v[kVectors], y[kVectors], sums[kVectors];
    for (int x = 0; x < kVectors; ++x) {
      v[x] = load(head.in(3, row) + j + x * kLanes, lanes(x));
      y[x] = sums[x] = Lanes{};
    }
    for (int64_t i = 0; i < head.p.head_size; ++i)
      for (int x = 0; x < kVectors; ++x)
        sums[x] += a[i] * load(head.state(i) + j + x * kLanes, lanes(x));
    for (int64_t i = 0; i < head.p.head_size; ++i) {
      float* s = head.state(i) + j;
      for (int x = 0; x < kVectors; ++x) {
        const Lanes old = load(s + x * kLanes, lanes(x));
        const Lanes updated = old * decay[i] + sums[x] * b[i] + v[x] * k[i];
        y[x] += r[i] * updated;
        store(s + x * kLanes, updated, lanes(x));
      }
    }
    for (int x = 0; x < kVectors; ++x) store(head.out(row) + j + x * kLanes, y[x], lanes(x));
  }
}

// The columns of a head, as many vectors at once as there are registers for.
template <typename Four, typename One>
inline void for_each_column(int64_t head_size, Four four, One one) {
  int64_t j = 0;
  for (; j + 4 * kLanes <= head_size; j += 4 * kLanes) four(j);
  for (; j < head_size; j += kLanes) one(j, head_size - j < kLanes ? head_size - j : kLanes);
}

}  // namespace

int run_wkv4(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const Wkv4Params*>(call->params);
  for (int64_t i = begin; i < end; ++i) {
    const Item item = item_of(*call, i, p.n_blocks);
    const Channels channels = channels_of(item, p.n);
    for_each_vector(channels.count,
                    [&](int64_t c, int64_t n) { wkv4_vector(*call, item, channels.first + c, n); });
  }
  return PERDURE_OK;
}

int run_wkv5(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const HeadParams*>(call->params);
  for (int64_t i = begin; i < end; ++i) {
    const Head head = head_of(p, *call, i, 5);
    for_each_column(
        p.head_size, [&](int64_t j) { wkv5_columns<4>(head, j, kLanes); },
        [&](int64_t j, int64_t n) { wkv5_columns<1>(head, j, n); });
  }
  return PERDURE_OK;
}

int run_wkv7(const perdure_call* call, int64_t begin, int64_t end, void*) {
  const auto& p = *static_cast<const HeadParams*>(call->params);
  for (int64_t i = begin; i < end; ++i) {
    const Head head = head_of(p, *call, i, 6);
    for_each_column(
        p.head_size, [&](int64_t j) { wkv7_columns<4>(head, j, kLanes); },
        [&](int64_t j, int64_t n) { wkv7_columns<1>(head, j, n); });
  }
  return PERDURE_OK;
}

}  // namespace perdure::rwkv::PERDURE_ISA
