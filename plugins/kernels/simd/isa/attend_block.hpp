// SPDX-License-Identifier: Apache-2.0

// One query and one block of keys: scores, weights, and what the query has gathered so far. The
// order of every sum is written here; it does not depend on how many keys share a vector.
#pragma once

#include "plugins/kernels/simd/isa/table.hpp"
#include "plugins/kernels/simd/isa/vector.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

using Register = Batch::register_type;

constexpr float kLowest = -__builtin_inff();

// One head's part of consecutive keys (or values): row t lies at first + t * stride.
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

// A head of kVectors vectors, the last of `tail` <= kLanes lanes. The query stays in registers.
template <int kVectors>
struct HeadScores {
  Register query[kVectors];
  int64_t tail;

  HeadScores(const float* q, int64_t head_size) : tail(head_size - (kVectors - 1) * kLanes) {
    for (int v = 0; v + 1 < kVectors; ++v) query[v] = load(q + v * kLanes);
    query[kVectors - 1] = load(q + (kVectors - 1) * kLanes, tail);
  }

  __attribute__((always_inline)) Batch products(const float* key) const {
    Batch sum(0.0f);
    for (int v = 0; v + 1 < kVectors; ++v) sum = fma(query[v], load(key + v * kLanes), sum);
    return fma(query[kVectors - 1], load(key + (kVectors - 1) * kLanes, tail), sum);
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

// scores[t] = q . keys[t] / root for t = 0 .. n - 1, and -infinity up to a whole vector.
template <int kVectors>
void score_keys_of(const float* q, HeadRows keys, int64_t n, int64_t head_size, float* scores) {
  const HeadScores<kVectors> head(q, head_size);
  const Batch root(__builtin_sqrtf(static_cast<float>(head_size)));
  int64_t t = 0;
  for (; t + kLanes <= n; t += kLanes)
    store(scores + t, sums_of([&](int64_t j) __attribute__((always_inline)) {
                        return head.products(keys.row(t + j));
                      }) / root);
  if (t < n) {
    // Behind the last key it is read again, because there may be nothing behind it.
    const auto product = [&](int64_t j) __attribute__((always_inline)) {
      return head.products(keys.row(smaller(t + j, n - 1)));
    };
    store(scores + t, sums_of(product) / root);
  }
  for (t = n; t % kLanes != 0; ++t) scores[t] = kLowest;
}

inline void score_keys(const float* q, HeadRows keys, int64_t n, int64_t head_size, float* scores) {
  switch ((head_size + kLanes - 1) / kLanes) {
    case 1:
      return score_keys_of<1>(q, keys, n, head_size, scores);
    case 2:
      return score_keys_of<2>(q, keys, n, head_size, scores);
    case 3:
      return score_keys_of<3>(q, keys, n, head_size, scores);
    case 4:
      return score_keys_of<4>(q, keys, n, head_size, scores);
    case 6:
      return score_keys_of<6>(q, keys, n, head_size, scores);
    case 8:
      return score_keys_of<8>(q, keys, n, head_size, scores);
    default:
      return score_keys_of<0>(q, keys, n, head_size, scores);
  }
}

// kVectors vectors of the weighted values: sums = sums * factor + (even keys + odd keys).
template <int kVectors>
inline void add_values(const float* weights, HeadRows values, int64_t n, Batch factor,
                       float* sums) {
  Register even[kVectors], odd[kVectors];
  for (int v = 0; v < kVectors; ++v) even[v] = odd[v] = Batch(0.0f);
  int64_t t = 0;
  for (; t + 2 <= n; t += 2) {
    const Batch w0(weights[t]), w1(weights[t + 1]);
    for (int v = 0; v < kVectors; ++v) {
      even[v] = fma(w0, load(values.row(t) + v * kLanes), even[v]);
      odd[v] = fma(w1, load(values.row(t + 1) + v * kLanes), odd[v]);
    }
  }
  if (t < n)
    for (int v = 0; v < kVectors; ++v)
      even[v] = fma(Batch(weights[t]), load(values.row(t) + v * kLanes), even[v]);
  for (int v = 0; v < kVectors; ++v) {
    float* s = sums + v * kLanes;
    store(s, fma(load(s), factor, Batch(even[v]) + Batch(odd[v])));
  }
}

// The same for the last `m` columns of a head that is no multiple of a vector.
inline void add_partial_values(const float* weights, HeadRows values, int64_t n, int64_t m,
                               Batch factor, float* sums) {
  Batch parts[2] = {Batch(0.0f), Batch(0.0f)};
  for (int64_t t = 0; t < n; ++t)
    parts[t % 2] = fma(Batch(weights[t]), load_partial(values.row(t), m), parts[t % 2]);
  store_partial(sums, fma(load_partial(sums, m), factor, parts[0] + parts[1]), m);
}

inline void add_all_values(const float* weights, HeadRows values, int64_t n, int64_t head_size,
                           Batch factor, float* sums) {
  int64_t i = 0;
  const auto rest = [&] { return HeadRows{values.first + i, values.stride}; };
  for (; i + 4 * kLanes <= head_size; i += 4 * kLanes)
    add_values<4>(weights, rest(), n, factor, sums + i);
  switch ((head_size - i) / kLanes) {
    case 3:
      add_values<3>(weights, rest(), n, factor, sums + i);
      break;
    case 2:
      add_values<2>(weights, rest(), n, factor, sums + i);
      break;
    case 1:
      add_values<1>(weights, rest(), n, factor, sums + i);
      break;
    default:
      break;
  }
  i = head_size / kLanes * kLanes;
  if (i < head_size) add_partial_values(weights, rest(), n, head_size - i, factor, sums + i);
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
  void add(float* scores, HeadRows values, int64_t n, int64_t head_size) {
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

}  // namespace
}  // namespace perdure::simd::PERDURE_ISA
