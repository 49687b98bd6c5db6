// SPDX-License-Identifier: Apache-2.0

// Softmax attention in one pass over the keys. Keys are taken in blocks that begin at multiples of
// kKeysPerBlock of their logical index; after each block the sums so far are brought to the new
// largest score. What a row computes depends on its own ranges only; rows of one session pass
// through a block together, so that its keys are read and transposed once.
#include "plugins/kernels/simd/isa/attend_block.hpp"
#include "plugins/kernels/simd/isa/rotation.hpp"
#include "plugins/kernels/simd/isa/runs.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using namespace kernels;

// Where the physical row of a key lies, walking from key to key.
struct Place {
  perdure_state_view view;
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

// Up to kRowsPerTile rows of one session and the query heads of one key head.
struct Tile {
  const perdure_call& call;
  const AttendParams& p;
  HeadForm form;
  int64_t kv_head, first_row, n_rows;
  float* scores;           // [kQueries, kKeysPerBlock]
  float* prepared_keys;    // [kKeysPerBlock, head_size]: rotated, or from both ends of a ring
  float* prepared_values;  // [kKeysPerBlock, value_size]: from both ends of a ring
  float* gathered;         // [n_rows, heads_per_kv, value_size + 2]
  // Of the range that is being attended to:
  Keys ranges[kRowsPerTile] = {};
  int64_t shifts[kRowsPerTile] = {};  // zeros if the range does not rotate
  bool same_shift = true;
  int64_t places[kRowsPerTile] = {};  // of the rows among the keys, if scores have slopes

  // The keys of a row that lie in the block that begins at `block`.
  Keys keys_of(int64_t row, int64_t block) const {
    return {larger(ranges[row].first, block), smaller(ranges[row].end, block + kKeysPerBlock)};
  }

  perdure_state_view view(uint32_t input) const {
    return key_rows_of(*call.step, call.step->rows[first_row].session, call.inputs[input]);
  }

  float* gathered_of(int64_t row, int64_t head) const {
    return gathered + (row * p.heads_per_kv + head) * (p.value_size + 2);
  }

  // The head's part, `size` columns, of `keys` of a state, in place where they are contiguous, else
  // copied to `prepared`.
  HeadRows contiguous(uint32_t input, Keys keys, int64_t size, float* prepared) const {
    const perdure_state_view v = view(input);
    Place place(v, keys.first);
    const int64_t count = keys.end - keys.first;
    if (Place(v, keys.end - 1).row == place.row + count - 1)
      return {place.at(kv_head * size), v.row_bytes / static_cast<int64_t>(sizeof(float))};
    for (int64_t t = 0; t < count; ++t, place.next()) {
      const float* from = place.at(kv_head * size);
      float* to = prepared + t * size;
      for_each_vector(size, [&](int64_t i, int64_t n) { store(to + i, load(from + i, n), n); });
    }
    return {prepared, size};
  }

  const float* angles_at(int64_t place) const {
    return row_of<float>(call.inputs[p.angles], place);
  }

  HeadRows rotated_keys(int64_t r, Keys keys, int64_t shift) const {
    Place place(view(p.ranges[r].input), keys.first);
    const int64_t block = p.ranges[r].angle_block;
    for (int64_t key = keys.first; key < keys.end; ++key, place.next()) {
      const float* from = place.at(kv_head * p.head_size);
      const float* angles =
          angles_at(block != 0 ? shift + key % block : (key + shift) / p.ranges[r].group);
      const float* more = block != 0 ? angles_at(shift + block + key / block) : nullptr;
      float* to = prepared_keys + (key - keys.first) * p.head_size;
      rotate_head(from, angles, p.rotation, to);
      if (more != nullptr) rotate_head(to, more, p.rotation, to);
    }
    return {prepared_keys, p.head_size};
  }

  float slope_of(int64_t head) const {
    return load_f32(call.inputs[p.slopes].tensor.data, kv_head * p.heads_per_kv + head);
  }

  // How far the row is from the key `block`.
  float distance_to(int64_t r, int64_t row, int64_t block) const {
    const int64_t shift = row_of<int64_t>(call.inputs[p.ranges[r].input + 2], first_row + row)[2];
    return static_cast<float>(places[row] - (block + shift));
  }

  // All rows that look at the block with this shift, `all` being the keys that they see together.
  void attend_shift(int64_t r, int64_t block, int64_t shift, Keys all) {
    const uint32_t input = p.ranges[r].input;
    HeadRows keys = p.ranges[r].rotate ? rotated_keys(r, all, shift)
                                       : contiguous(input, all, p.head_size, prepared_keys);
    HeadRows values = contiguous(input + 1, all, p.value_size, prepared_values);
    keys.first -= (all.first - block) * keys.stride;
    values.first -= (all.first - block) * values.stride;
    Query waiting[kQueries];
    int count = 0;
    for (int64_t row = 0; row < n_rows; ++row) {
      const Keys mine = keys_of(row, block);
      if (mine.empty() || shifts[row] != shift) continue;
      const float* q = row_of<float>(call.inputs[p.ranges[r].query], first_row + row) +
                       kv_head * p.heads_per_kv * p.head_size;
      const float distance = form.sloped ? distance_to(r, row, block) : 0.0f;
      for (int64_t head = 0; head < p.heads_per_kv; ++head) {
        waiting[count++] = {q + head * p.head_size,
                            {mine.first - block, mine.end - block},
                            gathered_of(row, head),
                            form.sloped ? slope_of(head) : 0.0f,
                            distance};
        if (count < kQueries) continue;
        attend_queries<kQueries>(waiting, keys, values, form, scores);
        count = 0;
      }
    }
    for (int c = 0; c < count; ++c) attend_queries<1>(waiting + c, keys, values, form, scores);
  }

  // Keys of the block that rows first .. end - 1 with this shift see.
  Keys seen_with(int64_t shift, int64_t block, int64_t first, int64_t end) const {
    Keys all = kNoKeys;
    for (int64_t row = first; row < end; ++row)
      if (shifts[row] == shift) all.include(keys_of(row, block));
    return all;
  }

  // Rows that rotate by different shifts see different keys; each shift is taken up at the first
  // row that has it.
  void attend_block(int64_t r, int64_t block) {
    for (int64_t row = 0; row < n_rows; ++row) {
      if (keys_of(row, block).empty() || !seen_with(shifts[row], block, 0, row).empty()) continue;
      attend_shift(r, block, shifts[row], seen_with(shifts[row], block, row, n_rows));
      if (same_shift) return;
    }
  }

  void attend_range(int64_t r) {
    Keys all = kNoKeys;
    same_shift = true;
    for (int64_t row = 0; row < n_rows; ++row) {
      const int64_t* range = row_of<int64_t>(call.inputs[p.ranges[r].input + 2], first_row + row);
      ranges[row] = {range[0], range[1]};
      shifts[row] = p.ranges[r].rotate ? range[2] : 0;
      same_shift = same_shift && shifts[row] == shifts[0];
      all.include(ranges[row]);
    }
    for (int64_t block = all.first / kKeysPerBlock * kKeysPerBlock; block < all.end;
         block += kKeysPerBlock)
      attend_block(r, block);
  }

  void finish(const float* from, float* y) const {
    const float total = from[p.value_size + 1];
    for_each_vector(p.value_size, [&](int64_t i, int64_t n) {
      store(y + i, total != 0.0f ? load(from + i, n) / Batch(total) : Batch(0.0f), n);
    });
  }

  void attend() {
    const int64_t n_heads = n_rows * p.heads_per_kv;
    memset(gathered, 0, static_cast<size_t>(n_heads * (p.value_size + 2)) * sizeof(float));
    for (int64_t i = 0; i < n_heads; ++i) gathered_of(0, i)[p.value_size] = kLowest;
    for (int64_t row = 0; form.sloped && row < n_rows; ++row)
      places[row] = *row_of<int64_t>(call.inputs[p.slopes + 1], first_row + row);
    for (int64_t r = 0; r < p.n_ranges; ++r) attend_range(r);
    for (int64_t row = 0; row < n_rows; ++row) {
      float* y =
          row_of<float>(call.outputs[0], first_row + row) + kv_head * p.heads_per_kv * p.value_size;
      for (int64_t head = 0; head < p.heads_per_kv; ++head)
        finish(gathered_of(row, head), y + head * p.value_size);
    }
  }
};

}  // namespace

// Item i is row i % n_rows of key head i / n_rows, so that neighbouring items share keys.
int run_attend(const perdure_call* call, int64_t begin, int64_t end, void* scratch) {
  const auto& p = *static_cast<const AttendParams*>(call->params);
  const perdure_step& step = *call->step;
  const AttendScratch layout = attend_scratch_layout(p.head_size, p.value_size, p.heads_per_kv);
  const HeadForm form = {p.head_size, p.value_size, p.scale, p.cap, p.slopes != 0};
  float* memory = static_cast<float*>(scratch);
  for (int64_t item = begin; item < end;) {
    const int64_t row = item % step.n_rows;
    const perdure_session& session = step.sessions[step.rows[row].session];
    int64_t count = smaller(session.first_row + session.n_rows - row, kRowsPerTile);
    count = smaller(count, end - item);
    Tile tile{*call,
              p,
              form,
              item / step.n_rows,
              row,
              count,
              memory,
              memory + layout.keys,
              memory + layout.values,
              memory + layout.gathered};
    tile.attend();
    item += count;
  }
  return PERDURE_OK;
}

}  // namespace perdure::simd::PERDURE_ISA
