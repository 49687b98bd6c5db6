// SPDX-License-Identifier: Apache-2.0

#include "apps/perdure/compare/estimate.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

namespace perdure::app {
namespace {

constexpr int64_t kWarmUp = 8, kFirst = 64, kMost = 1024;
constexpr double kPatience = 0.1;  // seconds

}  // namespace

double ReadingCost::seconds(int64_t tokens, int64_t length) const {
  return static_cast<double>(tokens) * (per_token + per_position * static_cast<double>(length) / 2);
}

ReadingCost fit_cost(int64_t n1, double t1, int64_t n2, double t2) {
  const double a1 = t1 / static_cast<double>(n1);
  const double a2 = t2 / static_cast<double>(n2);
  const double slope = std::max(0.0, 2 * (a2 - a1) / static_cast<double>(n2 - n1));
  return {.per_token = std::max(0.0, a2 - slope * static_cast<double>(n2) / 2),
          .per_position = slope};
}

ReadingCost measure_cost(Engine& engine) {
  using Clock = std::chrono::steady_clock;
  const int64_t longest = std::min(kMost, engine.max_length().value_or(kMost));
  std::vector<int32_t> tokens;
  RandomState random;
  for (int64_t i = 0; i < kMost; ++i)
    tokens.push_back(static_cast<int32_t>(random.next_u32() %
                                          static_cast<uint64_t>(engine.spec().info.vocab_size)));
  const auto read = [&](Session& session, int64_t until) {
    const Feed feed[] = {
        {&session, std::span(tokens).subspan(static_cast<size_t>(session.position()),
                                             static_cast<size_t>(until - session.position()))}};
    engine.feed(feed, {});
  };
  {
    Session warm = engine.new_session();
    read(warm, std::min(kWarmUp, longest));
  }
  Session session = engine.new_session();
  const Clock::time_point start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  const int64_t n1 = std::min(kFirst, longest);
  read(session, n1);
  const double t1 = elapsed();
  int64_t n2 = n1;
  while (n2 < longest && elapsed() < kPatience) {
    n2 = std::min(2 * n2, longest);
    read(session, n2);
  }
  if (n2 == n1 || engine.traits().constant_memory)
    return {.per_token = elapsed() / static_cast<double>(n2)};
  return fit_cost(n1, t1, n2, elapsed());
}

}  // namespace perdure::app
