// SPDX-License-Identifier: Apache-2.0

// Softmax attention in one pass over the keys. Keys are taken in blocks that begin at multiples of
// kKeysPerBlock of their logical index; after each block the sums so far are brought to the new
// largest score. What a row computes depends on its own ranges only; rows of one session pass
// through a block together so that its keys are read once.
#include "plugins/kernels/simd/isa/attend_block.hpp"
#include "plugins/kernels/simd/isa/rotation.hpp"
#include "plugins/kernels/simd/isa/runs.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using namespace kernels;

// Keys first .. end - 1 of a state.
struct Keys {
  int64_t first, end;

  bool empty() const { return first >= end; }
};

// Where the physical row of a key lies, walking from key to key.
struct Place {
  const perdure_state_view& view;
  int64_t row;

  Place(const perdure_state_view& v, int64_t key) : view(v), row(key) {
    if (v.ring_rows != 0 && key >= v.ring_first)
      row = v.ring_first + (key - v.ring_first) % v.ring_rows;
  }

  const float* at(int64_t column) const {
    return reinterpret_cast<const float*>(view.data + row * view.row_bytes) + column;
  }

  void next() {
    ++row;
    if (view.ring_rows != 0 && row == view.ring_first + view.ring_rows) row = view.ring_first;
  }
};

inline void copy(const float* from, float* to, int64_t count) {
  for_each_vector(count, [&](int64_t i, int64_t n) { store(to + i, load(from + i, n), n); });
}

// Up to kRowsPerTile rows of one session and the query heads of one key head.
struct Tile {
  const perdure_call& call;
  const AttendParams& p;
  int64_t kv_head, first_row, n_rows;
  float* scores;         // [kKeysPerBlock]
  float* prepared_keys;  // [kKeysPerBlock, head_size]: rotated, or brought together at the end of a
                         // ring
  float* prepared_values;  // [kKeysPerBlock, head_size]
  float* gathered;         // [n_rows, heads_per_kv, head_size + 2]

  Gathered of(int64_t row, int64_t head) const {
    return {gathered + (row * p.heads_per_kv + head) * (p.head_size + 2), p.head_size};
  }

  const int64_t* range(int64_t r, int64_t row) const {
    return row_of<int64_t>(call.inputs[p.ranges[r].input + 2], first_row + row);
  }

  // The keys of a row that lie in the block that begins at `block`.
  Keys keys_of(int64_t r, int64_t row, int64_t block) const {
    const int64_t* keys = range(r, row);
    return {larger(keys[0], block), smaller(keys[1], block + kKeysPerBlock)};
  }

  const perdure_state_view& view(uint32_t input) const {
    return state_of(*call.step, call.step->rows[first_row].session, call.inputs[input]);
  }

  // The head's part of `keys` of a state, in place where they are contiguous, else copied to
  // `prepared`.
  HeadRows contiguous(uint32_t input, Keys keys, float* prepared) const {
    const perdure_state_view& v = view(input);
    const int64_t column = kv_head * p.head_size;
    Place place(v, keys.first);
    const int64_t count = keys.end - keys.first;
    if (Place(v, keys.end - 1).row == place.row + count - 1)
      return {place.at(column), v.row_bytes / static_cast<int64_t>(sizeof(float))};
    for (int64_t t = 0; t < count; ++t, place.next())
      copy(place.at(column), prepared + t * p.head_size, p.head_size);
    return {prepared, p.head_size};
  }

  // All keys of the block that rows with this shift see, rotated; `keys` becomes what was rotated.
  HeadRows rotate(int64_t r, int64_t block, int64_t shift, Keys& keys) const {
    keys = {block + kKeysPerBlock, block};
    for (int64_t row = 0; row < n_rows; ++row) {
      const Keys mine = keys_of(r, row, block);
      if (mine.empty() || range(r, row)[2] != shift) continue;
      keys = {smaller(keys.first, mine.first), larger(keys.end, mine.end)};
    }
    Place place(view(p.ranges[r].input), keys.first);
    for (int64_t key = keys.first; key < keys.end; ++key, place.next()) {
      const float* from = place.at(kv_head * p.head_size);
      const float* angles = row_of<float>(call.inputs[p.angles], (key + shift) / p.ranges[r].group);
      float* to = prepared_keys + (key - keys.first) * p.head_size;
      for_each_vector(p.head_size, [&](int64_t i, int64_t n) {
        store(to + i, rotated(load(from + i, n), load(angles + i, n)), n);
      });
    }
    return {prepared_keys, p.head_size};
  }

  void attend_row(int64_t r, int64_t row, HeadRows keys, HeadRows values, int64_t n) {
    const float* queries = row_of<float>(call.inputs[p.ranges[r].query], first_row + row) +
                           kv_head * p.heads_per_kv * p.head_size;
    for (int64_t head = 0; head < p.heads_per_kv; ++head) {
      score_keys(queries + head * p.head_size, keys, n, p.head_size, scores);
      of(row, head).add(scores, values, n, p.head_size);
    }
  }

  // `all`: every key of the block that a row of the tile sees.
  void attend_block(int64_t r, int64_t block, Keys all) {
    const bool rotates = p.ranges[r].rotate;
    const HeadRows values = contiguous(p.ranges[r].input + 1, all, prepared_values);
    HeadRows keys{};
    Keys held = {0, 0};  // what `keys` are
    int64_t shift = 0;
    if (!rotates) {
      keys = contiguous(p.ranges[r].input, all, prepared_keys);
      held = all;
    }
    for (int64_t row = 0; row < n_rows; ++row) {
      const Keys mine = keys_of(r, row, block);
      if (mine.empty()) continue;
      if (rotates && (held.empty() || shift != range(r, row)[2])) {
        shift = range(r, row)[2];
        keys = rotate(r, block, shift, held);
      }
      attend_row(r, row, {keys.row(mine.first - held.first), keys.stride},
                 {values.row(mine.first - all.first), values.stride}, mine.end - mine.first);
    }
  }

  void attend_range(int64_t r) {
    Keys all = {INT64_MAX, 0};
    for (int64_t row = 0; row < n_rows; ++row) {
      const int64_t* keys = range(r, row);
      if (keys[0] < keys[1]) all = {smaller(all.first, keys[0]), larger(all.end, keys[1])};
    }
    for (int64_t block = all.first / kKeysPerBlock * kKeysPerBlock; block < all.end;
         block += kKeysPerBlock) {
      Keys seen = {block + kKeysPerBlock, block};
      for (int64_t row = 0; row < n_rows; ++row) {
        const Keys mine = keys_of(r, row, block);
        if (!mine.empty()) seen = {smaller(seen.first, mine.first), larger(seen.end, mine.end)};
      }
      if (!seen.empty()) attend_block(r, block, seen);
    }
  }

  void attend() {
    for (int64_t i = 0; i < n_rows * p.heads_per_kv; ++i) of(0, i).clear(p.head_size);
    for (int64_t r = 0; r < p.n_ranges; ++r) attend_range(r);
    for (int64_t row = 0; row < n_rows; ++row) {
      float* y =
          row_of<float>(call.outputs[0], first_row + row) + kv_head * p.heads_per_kv * p.head_size;
      for (int64_t head = 0; head < p.heads_per_kv; ++head)
        of(row, head).finish(y + head * p.head_size, p.head_size);
    }
  }
};

}  // namespace

// Item i is row i % n_rows of key head i / n_rows, so that neighbouring items share keys.
void run_attend(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& p = *static_cast<const AttendParams*>(call->params);
  const perdure_step& step = *call->step;
  float* scores = static_cast<float*>(scratch);
  float* keys = scores + kKeysPerBlock;
  float* values = keys + kKeysPerBlock * p.head_size;
  float* gathered = values + kKeysPerBlock * p.head_size;
  for (int64_t item = begin; item < end;) {
    const int64_t row = item % step.n_rows;
    const perdure_session& session = step.sessions[step.rows[row].session];
    int64_t count = smaller(session.first_row + session.n_rows - row, kRowsPerTile);
    count = smaller(count, end - item);
    Tile tile{*call, p, item / step.n_rows, row, count, scores, keys, values, gathered};
    tile.attend();
    item += count;
  }
}

}  // namespace perdure::simd::PERDURE_ISA
