// SPDX-License-Identifier: Apache-2.0

// Random choices of the measures: the same numbers on every machine, unlike the standard library's
// distributions. splitmix64 (Steele, Lea, Flood 2014).
#pragma once

#include <cstdint>
#include <span>
#include <utility>

namespace perdure {

// A value; one thread.
class EvalRandom {
 public:
  // Streams of the same seed are independent: one per sample, so that a sample does not depend on
  // how many came before.
  EvalRandom(uint64_t seed, uint64_t stream) : state_(seed) {
    state_ = next() ^ (stream * 0xD1342543DE82EF95u);
  }

  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  // 0 .. n - 1. The bias of the remainder is below n / 2^64. Requires: n > 0.
  int64_t below(int64_t n) { return static_cast<int64_t>(next() % static_cast<uint64_t>(n)); }

  template <class T>
  void shuffle(std::span<T> values) {
    for (auto n = static_cast<int64_t>(values.size()); n > 1; --n)
      std::swap(values[static_cast<size_t>(n - 1)], values[static_cast<size_t>(below(n))]);
  }

 private:
  uint64_t state_;
};

}  // namespace perdure
