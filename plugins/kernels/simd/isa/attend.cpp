// SPDX-License-Identifier: Apache-2.0

// Softmax attention in one pass over the keys. Keys are taken in blocks that begin at multiples of
// kKeysPerBlock of their logical index; after each block the sums so far are brought to the new
// largest score. What a row computes depends on its own ranges only; rows of one session pass
// through a block together so that its keys are read once.
#include "plugins/kernels/simd/isa/rotation.hpp"
#include "plugins/kernels/simd/isa/runs.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using namespace kernels;

constexpr float kLowest = -__builtin_inff();

// The sum of each of kLanes vectors, lane t from vector t; every vector is added in the same order.
#if defined(__AVX512F__)
inline Batch sums_of(const __m512* v) {
  __m512 quarters[4];
  for (int i = 0; i < 4; ++i) {
    const __m512* a = v + 4 * i;
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a[0], a[1]), _mm512_unpackhi_ps(a[0], a[1]));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(a[2], a[3]), _mm512_unpackhi_ps(a[2], a[3]));
    quarters[i] = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
  }
  const auto fold_lanes = [](__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
  };
  return fold_lanes(fold_lanes(quarters[0], quarters[1]), fold_lanes(quarters[2], quarters[3]));
}
#else
inline Batch sums_of(const __m256* v) {
  __m256 halves[2];
  for (int i = 0; i < 2; ++i) {
    const __m256* a = v + 4 * i;
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a[0], a[1]), _mm256_unpackhi_ps(a[0], a[1]));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(a[2], a[3]), _mm256_unpackhi_ps(a[2], a[3]));
    halves[i] = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
  }
  return _mm256_add_ps(_mm256_permute2f128_ps(halves[0], halves[1], 0x20),
                       _mm256_permute2f128_ps(halves[0], halves[1], 0x31));
}
#endif

// The keys or values of one block: where the head's part of each lies. Behind the last one the list
// repeats it, so that whole vectors of keys may be read.
struct Block {
  const float* at[kKeysPerBlock + kLanes];

  void fill(const perdure_state_view& view, int64_t first, int64_t end, int64_t offset) {
    int64_t place = first;
    if (view.ring_rows != 0 && first >= view.ring_first)
      place = view.ring_first + (first - view.ring_first) % view.ring_rows;
    const int64_t start = first % kKeysPerBlock;
    for (int64_t t = start; t < start + end - first; ++t) {
      at[t] = reinterpret_cast<const float*>(view.data + place * view.row_bytes) + offset;
      ++place;
      if (view.ring_rows != 0 && place == view.ring_first + view.ring_rows) place = view.ring_first;
    }
    repeat_last(start + end - first);
  }

  void repeat_last(int64_t n) {
    for (int64_t t = n; t < smaller(n + kLanes, kKeysPerBlock + kLanes); ++t) at[t] = at[n - 1];
  }
};

// scores[t] = q . keys[t] / root for t = 0 .. n - 1, and -infinity up to a whole vector.
inline void score_keys(const float* q, const float* const* keys, int64_t n, int64_t head_size,
                       Batch root, float* scores) {
  const int64_t whole = head_size / kLanes * kLanes;
  for (int64_t t = 0; t < n; t += kLanes) {
    Batch::register_type products[kLanes];
    for (int64_t j = 0; j < kLanes; ++j) products[j] = Batch(0.0f);
    for (int64_t i = 0; i < whole; i += kLanes) {
      const Batch qs = load(q + i);
      for (int64_t j = 0; j < kLanes; ++j)
        products[j] = fma(qs, load(keys[t + j] + i), products[j]);
    }
    if (whole < head_size) {
      const Batch qs = load_partial(q + whole, head_size - whole);
      for (int64_t j = 0; j < kLanes; ++j)
        products[j] = fma(qs, load_partial(keys[t + j] + whole, head_size - whole), products[j]);
    }
    store(scores + t, sums_of(products) / root);
  }
  for (int64_t t = n; t % kLanes != 0; ++t) scores[t] = kLowest;
}

// kVectors vectors of the weighted values: sums = sums * factor + (even keys + odd keys).
template <int kVectors>
inline void add_values(const float* weights, const float* const* values, int64_t n, int64_t offset,
                       Batch factor, float* sums) {
  Batch::register_type even[kVectors], odd[kVectors];
  for (int v = 0; v < kVectors; ++v) even[v] = odd[v] = Batch(0.0f);
  int64_t t = 0;
  for (; t + 2 <= n; t += 2) {
    const Batch w0(weights[t]), w1(weights[t + 1]);
    for (int v = 0; v < kVectors; ++v) {
      even[v] = fma(w0, load(values[t] + offset + v * kLanes), even[v]);
      odd[v] = fma(w1, load(values[t + 1] + offset + v * kLanes), odd[v]);
    }
  }
  if (t < n)
    for (int v = 0; v < kVectors; ++v)
      even[v] = fma(Batch(weights[t]), load(values[t] + offset + v * kLanes), even[v]);
  for (int v = 0; v < kVectors; ++v) {
    float* s = sums + offset + v * kLanes;
    store(s, fma(load(s), factor, Batch(even[v]) + Batch(odd[v])));
  }
}

// The same for the last `m` columns of a head that is no multiple of a vector.
inline void add_partial_values(const float* weights, const float* const* values, int64_t n,
                               int64_t offset, int64_t m, Batch factor, float* sums) {
  Batch parts[2] = {Batch(0.0f), Batch(0.0f)};
  for (int64_t t = 0; t < n; ++t)
    parts[t % 2] = fma(Batch(weights[t]), load_partial(values[t] + offset, m), parts[t % 2]);
  const Batch before = load_partial(sums + offset, m);
  store_partial(sums + offset, fma(before, factor, parts[0] + parts[1]), m);
}

inline void add_all_values(const float* weights, const float* const* values, int64_t n,
                           int64_t head_size, Batch factor, float* sums) {
  int64_t i = 0;
  for (; i + 4 * kLanes <= head_size; i += 4 * kLanes)
    add_values<4>(weights, values, n, i, factor, sums);
  if (i + 2 * kLanes <= head_size) {
    add_values<2>(weights, values, n, i, factor, sums);
    i += 2 * kLanes;
  }
  if (i + kLanes <= head_size) {
    add_values<1>(weights, values, n, i, factor, sums);
    i += kLanes;
  }
  if (i < head_size) add_partial_values(weights, values, n, i, head_size - i, factor, sums);
}

// What one query head of one row has gathered: sums of weighted values, the largest score, the sum
// of weights.
struct Gathered {
  float* sums;
  float* largest_score;
  float* total;

  Gathered(float* memory, int64_t head_size)
      : sums(memory), largest_score(memory + head_size), total(memory + head_size + 1) {}

  void clear(int64_t head_size) {
    memset(sums, 0, static_cast<size_t>(head_size) * sizeof(float));
    *largest_score = kLowest;
    *total = 0.0f;
  }

  // scores: n, filled up with -infinity to whole vectors; become weights.
  void add(float* scores, const float* const* values, int64_t n, int64_t head_size) {
    Batch top(*largest_score);
    for (int64_t t = 0; t < n; t += kLanes) top = xsimd::max(top, load(scores + t));
    const float now = largest(top);
    const Batch factor = exponential(Batch(*largest_score - now));
    Batch weights(0.0f);
    for (int64_t t = 0; t < n; t += kLanes) {
      const Batch weight = exponential(load(scores + t) - Batch(now));
      store(scores + t, weight);
      weights = weights + weight;
    }
    *total = *total * factor.get(0) + sum(weights);
    *largest_score = now;
    add_all_values(scores, values, n, head_size, factor, sums);
  }

  void finish(float* y, int64_t head_size) const {
    const bool any = *total != 0.0f;
    for_each_vector(head_size, [&](int64_t i, int64_t n) {
      store(y + i, any ? load(sums + i, n) / Batch(*total) : Batch(0.0f), n);
    });
  }
};

// Up to kRowsPerTile rows of one session and the query heads of one key head.
struct Tile {
  const perdure_call& call;
  const AttendParams& p;
  int64_t kv_head, first_row, n_rows;
  float* scores;        // [kKeysPerBlock]
  float* rotated_keys;  // [kKeysPerBlock, head_size]
  float* gathered;      // [n_rows, heads_per_kv, head_size + 2]
  int64_t rotated_shift = 0, rotated_first = 0, rotated_end = 0;  // what rotated_keys holds

  Gathered of(int64_t row, int64_t head) const {
    return {gathered + (row * p.heads_per_kv + head) * (p.head_size + 2), p.head_size};
  }

  const int64_t* range(int64_t r, int64_t row) const {
    return row_of<int64_t>(call.inputs[p.ranges[r].input + 2], first_row + row);
  }

  const perdure_state_view& view(uint32_t input) const {
    return state_of(*call.step, call.step->rows[first_row].session, call.inputs[input]);
  }

  // The part of a row's range that lies in the block that begins at `block`.
  struct Part {
    int64_t first, end;
  };
  Part part(int64_t r, int64_t row, int64_t block) const {
    const int64_t* keys = range(r, row);
    return {larger(keys[0], block), smaller(keys[1], block + kKeysPerBlock)};
  }

  // Rotates the keys first .. end - 1 for all rows of the tile that rotate by `shift`.
  void rotate(int64_t r, int64_t block, int64_t shift, const Block& keys) {
    Part all = {block + kKeysPerBlock, block};
    for (int64_t row = 0; row < n_rows; ++row) {
      const Part mine = part(r, row, block);
      if (mine.first >= mine.end || range(r, row)[2] != shift) continue;
      all = {smaller(all.first, mine.first), larger(all.end, mine.end)};
    }
    for (int64_t key = all.first; key < all.end; ++key) {
      const int64_t place = (key + shift) / p.ranges[r].group;
      const float* angles = row_of<float>(call.inputs[p.angles], place);
      const float* from = keys.at[key - block];
      float* to = rotated_keys + (key - block) * p.head_size;
      for_each_vector(p.head_size, [&](int64_t i, int64_t n) {
        store(to + i, rotated(load(from + i, n), load(angles + i, n)), n);
      });
    }
    rotated_shift = shift;
    rotated_first = all.first;
    rotated_end = all.end;
  }

  void attend_row(int64_t r, int64_t row, Part mine, const float* const* keys,
                  const float* const* values, Batch root) {
    const float* queries = row_of<float>(call.inputs[p.ranges[r].query], first_row + row) +
                           kv_head * p.heads_per_kv * p.head_size;
    const int64_t n = mine.end - mine.first;
    for (int64_t head = 0; head < p.heads_per_kv; ++head) {
      score_keys(queries + head * p.head_size, keys, n, p.head_size, root, scores);
      of(row, head).add(scores, values, n, p.head_size);
    }
  }

  void attend_block(int64_t r, int64_t block, Part all, Batch root) {
    Block keys, values, turned;
    keys.fill(view(p.ranges[r].input), all.first, all.end, kv_head * p.head_size);
    values.fill(view(p.ranges[r].input + 1), all.first, all.end, kv_head * p.head_size);
    rotated_first = rotated_end = 0;
    for (int64_t row = 0; row < n_rows; ++row) {
      const Part mine = part(r, row, block);
      if (mine.first >= mine.end) continue;
      const int64_t start = mine.first - block;
      const Block* scored = &keys;
      if (p.ranges[r].rotate) {
        const int64_t shift = range(r, row)[2];
        if (rotated_end == 0 || shift != rotated_shift) {
          rotate(r, block, shift, keys);
          for (int64_t t = rotated_first - block; t < rotated_end - block; ++t)
            turned.at[t] = rotated_keys + t * p.head_size;
          turned.repeat_last(rotated_end - block);
        }
        scored = &turned;
      }
      attend_row(r, row, mine, scored->at + start, values.at + start, root);
    }
  }

  void attend() {
    for (int64_t i = 0; i < n_rows * p.heads_per_kv; ++i) of(0, i).clear(p.head_size);
    const Batch root(__builtin_sqrtf(static_cast<float>(p.head_size)));
    for (int64_t r = 0; r < p.n_ranges; ++r) {
      Part all = {INT64_MAX, 0};
      for (int64_t row = 0; row < n_rows; ++row) {
        const int64_t* keys = range(r, row);
        if (keys[0] < keys[1]) all = {smaller(all.first, keys[0]), larger(all.end, keys[1])};
      }
      for (int64_t block = all.first / kKeysPerBlock * kKeysPerBlock; block < all.end;
           block += kKeysPerBlock)
        attend_block(r, block, {larger(all.first, block), smaller(all.end, block + kKeysPerBlock)},
                     root);
    }
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
  float* rotated_keys = scores + kKeysPerBlock;
  float* gathered = rotated_keys + kKeysPerBlock * p.head_size;
  for (int64_t item = begin; item < end;) {
    const int64_t row = item % step.n_rows;
    const perdure_session& session = step.sessions[step.rows[row].session];
    int64_t count = smaller(session.first_row + session.n_rows - row, kRowsPerTile);
    count = smaller(count, end - item);
    Tile tile{*call, p, item / step.n_rows, row, count, scores, rotated_keys, gathered};
    tile.attend();
    item += count;
  }
}

}  // namespace perdure::simd::PERDURE_ISA
