// SPDX-License-Identifier: Apache-2.0

// A few queries and one block of keys: scores, weights, and what the queries have gathered so far.
// Every score is summed over the head from left to right and every value is added key by key,
// whatever else is computed beside it.
#pragma once

#include "plugins/kernels/simd/isa/functions.hpp"
#include "plugins/kernels/simd/isa/table.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using Register = Batch::register_type;

constexpr float kLowest = -__builtin_inff();
constexpr int64_t kKeyVectors = kKeysPerBlock / kLanes;

// Queries computed together, and vectors of keys or values beside them: as many as there are
// registers for.
#if defined(__AVX512F__)
constexpr int kQueries = 4;
#else
constexpr int kQueries = 2;
#endif
constexpr int kVectors = 4;

// Keys first .. end - 1 of a state.
struct Keys {
  int64_t first, end;

  bool empty() const { return first >= end; }
  void include(Keys other) {
    if (other.empty()) return;
    first = smaller(first, other.first);
    end = larger(end, other.end);
  }
};
constexpr Keys kNoKeys = {INT64_MAX, 0};

// One head's part of consecutive rows: row t lies at first + t * stride.
struct HeadRows {
  const float* first;
  int64_t stride;

  const float* row(int64_t t) const { return first + t * stride; }
};

// Four vectors to one: lane t of every 128 bits gets the sum of those 128 bits of vector t.
#if defined(__AVX512F__)
inline __m512 fold_four(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  return _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
}
inline __m512 fold_lanes(__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}
#else
inline __m256 fold_four(__m256 a, __m256 b, __m256 c, __m256 d) {
  const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
  const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
  return _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
}
inline __m256 fold_lanes(__m256 a, __m256 b) {
  return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}
#endif

// The sums of kLanes vectors, lane t from vector(t); every vector is added in the same order.
// Vectors are asked for four at a time, so that few are alive.
template <typename Vector>
inline Batch sums_of(Vector vector) {
  const auto four = [&](int64_t t) __attribute__((always_inline)) {
    return fold_four(vector(t), vector(t + 1), vector(t + 2), vector(t + 3));
  };
  const Register low = fold_lanes(four(0), four(4));
#if defined(__AVX512F__)
  return fold_lanes(low, fold_lanes(four(8), four(12)));
#else
  return low;
#endif
}

// A head of kCount vectors, the last of `tail` <= kLanes lanes. The query stays in registers.
template <int kCount>
struct HeadScores {
  Register query[kCount];
  int64_t tail;

  HeadScores(const float* q, int64_t head_size) : tail(head_size - (kCount - 1) * kLanes) {
    for (int v = 0; v + 1 < kCount; ++v) query[v] = load(q + v * kLanes);
    query[kCount - 1] = load(q + (kCount - 1) * kLanes, tail);
  }

  __attribute__((always_inline)) Batch products(const float* key) const {
    Batch sum(0.0f);
    for (int v = 0; v + 1 < kCount; ++v) sum = fma(query[v], load(key + v * kLanes), sum);
    return fma(query[kCount - 1], load(key + (kCount - 1) * kLanes, tail), sum);
  }
};

// A head of any size.
template <>
struct HeadScores<0> {
  const float* query;
  int64_t head_size;

  HeadScores(const float* q, int64_t size) : query(q), head_size(size) {}

  Batch products(const float* key) const {
    Batch sum(0.0f);
    for_each_vector(head_size, [&](int64_t i, int64_t n) {
      sum = fma(load(query + i, n), load(key + i, n), sum);
    });
    return sum;
  }
};

// What all heads of a node have in common.
struct HeadForm {
  int64_t head_size, value_size;
  float scale;  // 0: divide by the root of head_size
  float cap;    // 0: none
  bool sloped;

  bool plain() const { return scale == 0.0f && cap == 0.0f && !sloped; }
};

// One query head of one row: which keys of the block it sees, and what it has gathered so far:
// value_size sums of weighted values, then the largest score and the sum of weights.
struct Query {
  const float* q;
  Keys keys;  // counted from the beginning of the block
  float* gathered;
  float slope, distance;  // ALiBi: the slope, and how far the row is from the block's first key

  float& largest_score(const HeadForm& form) const { return gathered[form.value_size]; }
  float& total(const HeadForm& form) const { return gathered[form.value_size + 1]; }
};

// scores[t] = q . key t for the keys t that the query sees; what lies between whole vectors of them
// is arbitrary.
template <int kCount>
void score_head(const Query& query, HeadRows keys, int64_t head_size, float* scores) {
  const HeadScores<kCount> head(query.q, head_size);
  const Keys seen = query.keys;
  for (int64_t t = seen.first / kLanes * kLanes; t < seen.end; t += kLanes) {
    if (t >= seen.first && t + kLanes <= seen.end) {
      store(scores + t, sums_of([&](int64_t j) __attribute__((always_inline)) {
              return head.products(keys.row(t + j));
            }));
    } else {
      // Outside the range there may be nothing to read: its first or last key stands in.
      store(scores + t, sums_of([&](int64_t j) __attribute__((always_inline)) {
              return head.products(keys.row(larger(seen.first, smaller(t + j, seen.end - 1))));
            }));
    }
  }
}

inline void score(const Query& query, HeadRows keys, int64_t head_size, float* scores) {
  switch ((head_size + kLanes - 1) / kLanes) {
    case 1:
      return score_head<1>(query, keys, head_size, scores);
    case 2:
      return score_head<2>(query, keys, head_size, scores);
    case 3:
      return score_head<3>(query, keys, head_size, scores);
    case 4:
      return score_head<4>(query, keys, head_size, scores);
    case 6:
      return score_head<6>(query, keys, head_size, scores);
    case 8:
      return score_head<8>(query, keys, head_size, scores);
    default:
      return score_head<0>(query, keys, head_size, scores);
  }
}

alignas(64) constexpr float kUpwards[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// Scores that are more than q . key / sqrt(head_size): scaled, capped, and less with the distance.
inline void adjust(const Query& query, const HeadForm& form, float* scores) {
  const Batch root(__builtin_sqrtf(static_cast<float>(form.head_size)));
  for (int64_t t = query.keys.first / kLanes * kLanes; t < query.keys.end; t += kLanes) {
    Batch s = load(scores + t);
    s = form.scale != 0.0f ? s * Batch(form.scale) : s / root;
    if (form.cap != 0.0f) s = Batch(form.cap) * hyperbolic_tangent(s / Batch(form.cap));
    if (form.sloped) {
      const Batch place = load(kUpwards) + Batch(static_cast<float>(t));
      s = negated_fma(Batch(query.slope), xsimd::abs(Batch(query.distance) - place), s);
    }
    store(scores + t, s);
  }
}

// Scores become weights relative to the largest score so far; earlier sums are brought to it.
inline void weigh(const Query& query, const HeadForm& form, float* scores) {
  for (int64_t t = 0; t < query.keys.first; ++t) scores[t] = kLowest;
  for (int64_t t = query.keys.end; t < kKeysPerBlock; ++t) scores[t] = kLowest;
  const Batch root(form.plain() ? __builtin_sqrtf(static_cast<float>(form.head_size)) : 1.0f);
  const float before = query.largest_score(form);
  Batch top(before);
  Register scaled[kKeyVectors];
  for (int64_t v = 0; v < kKeyVectors; ++v) {
    scaled[v] = load(scores + v * kLanes) / root;
    top = xsimd::max(top, Batch(scaled[v]));
  }
  const Batch now(largest(top));
  Batch sums(0.0f);
  for (int64_t v = 0; v < kKeyVectors; ++v) {
    const Batch weights = exponential(Batch(scaled[v]) - now);
    store(scores + v * kLanes, weights);
    sums = sums + weights;
  }
  const Batch factor = exponential(Batch(before) - now);
  query.largest_score(form) = now.get(0);
  query.total(form) = query.total(form) * factor.get(0) + sum(sums);
  for_each_vector(form.value_size, [&](int64_t i, int64_t n) {
    store(query.gathered + i, load(query.gathered + i, n) * factor, n);
  });
}

// Adds the values first .. end - 1 times their weights to columns i .. i + kWidth vectors of kCount
// queries.
template <int kCount, int kWidth>
inline void add_values(const Query* queries, const float* weights, HeadRows values, Keys keys,
                       int64_t i) {
  Register sums[kCount][kWidth];
  for (int c = 0; c < kCount; ++c)
    for (int v = 0; v < kWidth; ++v) sums[c][v] = load(queries[c].gathered + i + v * kLanes);
  for (int64_t t = keys.first; t < keys.end; ++t) {
    const float* value = values.row(t) + i;
    Register parts[kWidth];
    for (int v = 0; v < kWidth; ++v) parts[v] = load(value + v * kLanes);
    for (int c = 0; c < kCount; ++c) {
      const Batch weight(weights[c * kKeysPerBlock + t]);
      for (int v = 0; v < kWidth; ++v) sums[c][v] = fma(weight, parts[v], sums[c][v]);
    }
  }
  for (int c = 0; c < kCount; ++c)
    for (int v = 0; v < kWidth; ++v) store(queries[c].gathered + i + v * kLanes, sums[c][v]);
}

// The same for the last `n` columns of a head that is no multiple of a vector.
inline void add_partial_values(const Query& query, const float* weights, HeadRows values, Keys keys,
                               int64_t i, int64_t n) {
  Batch sums = load_partial(query.gathered + i, n);
  for (int64_t t = keys.first; t < keys.end; ++t)
    sums = fma(Batch(weights[t]), load_partial(values.row(t) + i, n), sums);
  store_partial(query.gathered + i, sums, n);
}

template <int kCount>
inline void add_all_values(const Query* queries, const float* weights, HeadRows values, Keys keys,
                           int64_t value_size) {
  if (keys.empty()) return;
  int64_t i = 0;
  for (; i + kVectors * kLanes <= value_size; i += kVectors * kLanes)
    add_values<kCount, kVectors>(queries, weights, values, keys, i);
  switch ((value_size - i) / kLanes) {
    case 3:
      add_values<kCount, 3>(queries, weights, values, keys, i);
      break;
    case 2:
      add_values<kCount, 2>(queries, weights, values, keys, i);
      break;
    case 1:
      add_values<kCount, 1>(queries, weights, values, keys, i);
      break;
    default:
      break;
  }
  i = value_size / kLanes * kLanes;
  if (i == value_size) return;
  for (int c = 0; c < kCount; ++c)
    add_partial_values(queries[c], weights + c * kKeysPerBlock, values, keys, i, value_size - i);
}

// kCount queries and a block. Keys that all of them see are added together, the others one query at
// a time, in order.
template <int kCount>
void attend_queries(const Query* queries, HeadRows keys, HeadRows values, const HeadForm& form,
                    float* scores) {
  Keys common = {0, kKeysPerBlock};
  for (int c = 0; c < kCount; ++c) {
    score(queries[c], keys, form.head_size, scores + c * kKeysPerBlock);
    if (!form.plain()) adjust(queries[c], form, scores + c * kKeysPerBlock);
    weigh(queries[c], form, scores + c * kKeysPerBlock);
    common = {larger(common.first, queries[c].keys.first),
              smaller(common.end, queries[c].keys.end)};
  }
  if (common.empty()) common = {kKeysPerBlock, kKeysPerBlock};
  for (int c = 0; c < kCount; ++c)
    add_all_values<1>(queries + c, scores + c * kKeysPerBlock, values,
                      {queries[c].keys.first, smaller(common.first, queries[c].keys.end)},
                      form.value_size);
  add_all_values<kCount>(queries, scores, values, common, form.value_size);
  for (int c = 0; c < kCount; ++c)
    add_all_values<1>(queries + c, scores + c * kKeysPerBlock, values,
                      {common.end, queries[c].keys.end}, form.value_size);
}

}  // namespace
}  // namespace perdure::simd::PERDURE_ISA
