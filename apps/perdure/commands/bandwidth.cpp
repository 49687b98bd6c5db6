// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/commands/bandwidth.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "core/base/buffer.hpp"

namespace perdure::app {
namespace {

constexpr size_t kBytes = size_t{256} << 20;
constexpr int kPasses = 5;

// Eight sums at once, so that adding is never what limits.
uint64_t sum(const uint64_t* words, size_t count) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= count; i += 8)
    for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  uint64_t total = 0;
  for (const uint64_t part : sums) total += part;
  return total;
}

}  // namespace

double measure_bandwidth(int n_threads) {
  using Clock = std::chrono::steady_clock;
  if (n_threads <= 0)
    n_threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  Buffer buffer(kBytes);
  // Pages that were never written are all the same page of zeros, which the cache would serve.
  std::fill(buffer.data(), buffer.data() + buffer.size(), std::byte{1});
  const auto* words = reinterpret_cast<const uint64_t*>(buffer.data());
  const size_t count = kBytes / sizeof(uint64_t) / static_cast<size_t>(n_threads);
  std::atomic<uint64_t> total = 0;  // used, so that the reading cannot be optimised away
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const Clock::time_point start = Clock::now();
    std::vector<std::jthread> threads;
    for (int t = 1; t < n_threads; ++t)
      threads.emplace_back([&, t] { total += sum(words + static_cast<size_t>(t) * count, count); });
    total += sum(words, count);
    threads.clear();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::max(best, static_cast<double>(count * sizeof(uint64_t)) * n_threads / seconds);
  }
  return best;
}

}  // namespace perdure::app
