// SPDX-License-Identifier: Apache-2.0

// Reading and multiplying as fast as 512-bit instructions allow; on CPUs without them the limits
// are left out.
#include "bench/limits.hpp"

#include <benchmark/benchmark.h>
#include <immintrin.h>

#include <vector>

#include "core/api/types.h"
#include "core/base/cpu.hpp"

namespace perdure::bench {
namespace {

constexpr int kSums = 16;  // more than latency times throughput

__attribute__((target("avx512f"))) void read_all(const std::vector<char>& memory) {
  __m512i sums[8] = {};
  for (size_t i = 0; i + 512 <= memory.size(); i += 512)
    for (int j = 0; j < 8; ++j)
      sums[j] = _mm512_or_si512(sums[j], _mm512_loadu_si512(memory.data() + i + j * 64));
  __m512i all = sums[0];
  for (int j = 1; j < 8; ++j) all = _mm512_or_si512(all, sums[j]);
  benchmark::DoNotOptimize(all);
}

__attribute__((target("avx512f"))) inline __m512 multiply_add(__m512 sum, __m512 x) {
  asm("vfmadd231ps %1, %1, %0" : "+v"(sum) : "v"(x));
  return sum;
}

__attribute__((target("avx512f"))) inline __m512i multiply_add(__m512i sum, __m512i x) {
  asm("vpdpbusd %1, %1, %0" : "+v"(sum) : "v"(x));
  return sum;
}

__attribute__((target("avx512f"))) void multiply_f32(int64_t n) {
  const __m512 x = _mm512_set1_ps(0.5f);
  __m512 sums[kSums];
  for (int j = 0; j < kSums; ++j) sums[j] = x;
  for (int64_t i = 0; i < n; ++i)
    for (int j = 0; j < kSums; ++j) sums[j] = multiply_add(sums[j], x);
  __m512 all = x;
  for (int j = 0; j < kSums; ++j) all = _mm512_add_ps(all, sums[j]);
  benchmark::DoNotOptimize(all);
}

__attribute__((target("avx512f"))) void multiply_int8(int64_t n) {
  const __m512i x = _mm512_set1_epi8(1);
  __m512i sums[kSums];
  for (int j = 0; j < kSums; ++j) sums[j] = x;
  for (int64_t i = 0; i < n; ++i)
    for (int j = 0; j < kSums; ++j) sums[j] = multiply_add(sums[j], x);
  __m512i all = x;
  for (int j = 0; j < kSums; ++j) all = _mm512_or_si512(all, sums[j]);
  benchmark::DoNotOptimize(all);
}

void count(benchmark::State& state, const char* what, double per_iteration) {
  state.counters[what] =
      benchmark::Counter(per_iteration, benchmark::Counter::kIsIterationInvariantRate);
}

void read_limit(benchmark::State& state) {
  const std::vector<char> memory(static_cast<size_t>(state.range(0)), 1);
  for (auto _ : state) read_all(memory);
  count(state, "B/s", static_cast<double>(state.range(0)));
}

constexpr int64_t kRounds = 10000;

void f32_limit(benchmark::State& state) {
  for (auto _ : state) multiply_f32(kRounds);
  count(state, "op/s", 2.0 * 16 * kSums * kRounds);
}

void int8_limit(benchmark::State& state) {
  for (auto _ : state) multiply_int8(kRounds);
  count(state, "op/s", 2.0 * 64 * kSums * kRounds);
}

}  // namespace

void add_limits() {
  if (!(cpu_features() & PERDURE_CPU_AVX512)) return;
  for (const int64_t size :
       {int64_t{512} << 10, int64_t{16} << 20, int64_t{256} << 20, int64_t{1} << 30})
    benchmark::RegisterBenchmark("limit/read", read_limit)->Arg(size);
  benchmark::RegisterBenchmark("limit/f32", f32_limit);
  if (cpu_features() & PERDURE_CPU_AVX512_VNNI)
    benchmark::RegisterBenchmark("limit/int8", int8_limit);
}

}  // namespace perdure::bench
