// SPDX-License-Identifier: Apache-2.0

// The sampler against section 6 of the specification, worked out by other means than the sampler
// uses.
#include "core/engine/sampler.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <bitset>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

using namespace perdure;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

const SamplingOptions kPlain{.temperature = 1, .top_k = 0, .top_p = 1};

// xorshift64* bit by bit: a step is linear over GF(2), the output a schoolbook product of 32-bit
// halves.
uint32_t next_by_bits(std::bitset<64>& s) {
  std::bitset<64> a, b, c;
  for (size_t i = 0; i < 64; ++i) a[i] = s[i] ^ (i + 12 < 64 && s[i + 12]);
  for (size_t i = 0; i < 64; ++i) b[i] = a[i] ^ (i >= 25 && a[i - 25]);
  for (size_t i = 0; i < 64; ++i) c[i] = b[i] ^ (i + 27 < 64 && b[i + 27]);
  s = c;
  const uint64_t x = s.to_ullong(), low = x & 0xffffffff, high = x >> 32;
  const uint64_t m_low = 0x4F6CDD1D, m_high = 0x2545F491;
  return static_cast<uint32_t>(((low * m_low) >> 32) + low * m_high + high * m_low);
}

int32_t sample(std::vector<float> logits, const SamplingOptions& options, uint64_t seed,
               std::vector<int32_t> recent = {}) {
  Sampler sampler(static_cast<int64_t>(logits.size()));
  RandomState random{seed};
  return sampler.sample(logits, options, recent, random);
}

// Section 6 in double precision with the whole distribution in sight; top_p 0 = off.
int32_t sample_slowly(const std::vector<float>& logits, double temperature, double top_p,
                      double coin) {
  double largest = -1e300, sum = 0;
  for (float x : logits) largest = std::max(largest, x / temperature);
  std::vector<std::pair<double, int32_t>> p;
  for (size_t i = 0; i < logits.size(); ++i)
    p.emplace_back(std::exp(logits[i] / temperature - largest), static_cast<int32_t>(i));
  for (auto& q : p) sum += q.first;
  for (auto& q : p) q.first /= sum;
  size_t count = p.size();
  double mass = 1;
  if (top_p > 0) {
    std::stable_sort(p.begin(), p.end(), [](auto& a, auto& b) { return a.first > b.first; });
    mass = 0;
    count = 0;
    while (count < p.size() && mass <= top_p) mass += p[count++].first;
  }
  double cdf = 0;
  for (size_t i = 0; i < count; ++i)
    if ((cdf += p[i].first) > coin * mass) return p[i].second;
  return p[count - 1].second;
}

std::vector<float> random_logits(size_t n, RandomState& random) {
  std::vector<float> x(n);
  for (float& v : x) v = 12.0f * random.next_f32() - 6.0f;
  return x;
}

}  // namespace

TEST_CASE("the generator is xorshift64* as worked out bit by bit") {
  for (uint64_t seed : {uint64_t{1}, uint64_t{1234}, uint64_t{0x8000000000000001}}) {
    RandomState random{seed};
    std::bitset<64> bits(seed);
    for (int i = 0; i < 1000; ++i) {
      const uint32_t expected = next_by_bits(bits);
      RandomState copy = random;
      REQUIRE(random.next_u32() == expected);
      REQUIRE(copy.next_f32() == static_cast<float>(expected / 256) / 16777216.0f);
    }
  }
  RandomState one{1}, thousand{1234};
  CHECK(one.next_u32() == 0x47e4ce4b);
  CHECK(thousand.next_u32() == 0xbc5614c6);
}

TEST_CASE("temperature 0 takes the largest logit, the lowest id on ties, and draws nothing") {
  const SamplingOptions greedy{.temperature = 0};
  Sampler sampler(4);
  RandomState random{7};
  std::vector<float> logits{1, 3, 3, 2};
  CHECK(sampler.sample(logits, greedy, {}, random) == 1);
  CHECK(random.state == 7);
  CHECK(sample({kNan, -kInf, -5, kNan}, greedy, 1) == 2);
  CHECK(sample({kNan, kNan}, greedy, 1) == 0);
  CHECK(sample({1, kInf, kInf}, greedy, 1) == 1);
}

TEST_CASE("every draw takes exactly one number whatever the options and the logits") {
  RandomState source{99};
  const std::vector<SamplingOptions> all{
      kPlain,
      {.temperature = 0.7, .top_k = 0, .top_p = 0.9},
      {.temperature = 2, .top_k = 5, .top_p = 0.5, .min_p = 0.1, .repeat_penalty = 1.3},
      {.temperature = 1, .top_k = 1, .top_p = 0.0},
      {.temperature = 1e-60, .top_k = 0, .top_p = 0.9}};
  for (const SamplingOptions& options : all) {
    for (std::vector<float> logits :
         {random_logits(50, source), std::vector<float>(50, 0.0f), std::vector<float>(50, kNan),
          std::vector<float>(50, -kInf), std::vector<float>(1, 3.0f)}) {
      Sampler sampler(static_cast<int64_t>(logits.size()));
      RandomState random{source.next_u32() | 1u}, once = random;
      once.next_u32();
      const int32_t id = sampler.sample(logits, options, {}, random);
      CHECK(random.state == once.state);
      CHECK(id >= 0);
      CHECK(id < static_cast<int32_t>(logits.size()));
    }
  }
}

TEST_CASE("draws equal the specification computed in double precision") {
  RandomState source{2024};
  for (int i = 0; i < 2000; ++i) {
    const auto logits = random_logits(2 + source.next_u32() % 60, source);
    const double temperature = 0.3 + source.next_f32();
    const double top_p = i % 2 ? 0.05 + 0.9 * source.next_f32() : 0.0;
    const uint64_t seed = source.next_u32() | 1u;
    const double coin = RandomState{seed}.next_f32();
    const SamplingOptions options{.temperature = temperature, .top_k = 0, .top_p = top_p};
    REQUIRE(sample(logits, options, seed) == sample_slowly(logits, temperature, top_p, coin));
  }
}

TEST_CASE("tokens come as often as their probability says") {
  Sampler sampler(3);
  RandomState random{5};
  std::vector<int> counts(3);
  for (int i = 0; i < 30000; ++i) {
    std::vector<float> logits{std::log(0.5f), std::log(0.2f), std::log(0.3f)};
    ++counts[static_cast<size_t>(sampler.sample(logits, kPlain, {}, random))];
  }
  CHECK(counts[0] == doctest::Approx(15000).epsilon(0.03));
  CHECK(counts[1] == doctest::Approx(6000).epsilon(0.05));
  CHECK(counts[2] == doctest::Approx(9000).epsilon(0.05));
}

TEST_CASE("top_p outside (0, 1) is off and a tiny top_p leaves the largest, lowest id first") {
  RandomState source{3};
  for (int i = 0; i < 200; ++i) {
    const auto logits = random_logits(20, source);
    const uint64_t seed = source.next_u32() | 1u;
    const int32_t off = sample(logits, kPlain, seed);
    CHECK(sample(logits, {.temperature = 1, .top_k = 0, .top_p = 0}, seed) == off);
    CHECK(sample(logits, {.temperature = 1, .top_k = 0, .top_p = -1}, seed) == off);
    CHECK(sample(logits, {.temperature = 1, .top_k = 0, .top_p = 7}, seed) == off);
    // With top_p below 1 / n no token of a flat distribution passes the original's first filter.
    CHECK(sample(std::vector<float>(20, 1.5f), {.temperature = 1, .top_k = 0, .top_p = 0.01},
                 seed) == 0);
    CHECK(sample({0, 2, 2, 1}, {.temperature = 1, .top_k = 0, .top_p = 0.2}, seed) == 1);
  }
}

TEST_CASE("NaN logits are never chosen and huge ones do not hide each other") {
  for (uint64_t seed = 1; seed < 400; ++seed) {
    for (double top_p : {0.9, 1.0}) {
      const SamplingOptions options{.temperature = 0.5, .top_k = 0, .top_p = top_p};
      CHECK(sample({kNan, 1, kNan, 1, kNan}, options, seed) % 2 == 1);
      CHECK(sample({3e38f, 3.2e38f, -3e38f}, options, seed) == 1);
      CHECK(sample({1, kInf, 2}, options, seed) == 1);
      CHECK(sample({-kInf, -3e38f, -kInf}, options, seed) == 1);
      CHECK(sample({kNan, kNan, kNan}, options, seed) == 0);
    }
  }
}

TEST_CASE("top_k and min_p keep what they say they keep") {
  bool second_seen = false;
  for (uint64_t seed = 1; seed < 2000; ++seed) {
    const int32_t of_two =
        sample({1, 4, 3.9f, 2}, {.temperature = 1, .top_k = 2, .top_p = 1}, seed);
    CHECK((of_two == 1 || of_two == 2));
    second_seen |= of_two == 2;
    CHECK(sample({1, 4, 3, 2}, {.temperature = 1, .top_k = 1, .top_p = 0.95}, seed) == 1);
    // exp(-0.5) = 0.61 is kept at min_p 0.6, exp(-0.6) = 0.55 is not.
    const int32_t of_min =
        sample({-0.6f, 0, -0.5f}, {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0.6}, seed);
    CHECK(of_min != 0);
    // Of two equal tokens left by top_k, top_p 0.4 of their mass is reached by the first.
    CHECK(sample({1, 4, 4, 2}, {.temperature = 1, .top_k = 2, .top_p = 0.4}, seed) == 1);
  }
  CHECK(second_seen);
}

TEST_CASE("the repeat penalty acts once on every recent token, also when greedy") {
  const SamplingOptions greedy{.temperature = 0, .repeat_penalty = 2};
  CHECK(sample({3, 4, 1}, greedy, 1) == 1);
  CHECK(sample({3, 4, 1}, greedy, 1, {1}) == 0);
  CHECK(sample({1.5f, 4, 1}, greedy, 1, {1, 1, 1}) == 1);
  CHECK(sample({-3, -2, -5}, greedy, 1, {1}) == 0);
}
