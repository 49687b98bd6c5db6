// SPDX-License-Identifier: Apache-2.0

// The sampler against section 6 of the specification, worked out by other means than the sampler
// uses.
#include "core/engine/sampler.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "core/api/error.hpp"

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

// RWKV's programs in double precision, section 12.3: cut at temperature 1, then warm what is left;
// top_p 0 and top_k 0 = off.
int32_t sample_as_rwkv(const std::vector<float>& logits, double temperature, double top_p,
                       size_t top_k, double coin) {
  double largest = -1e300, sum = 0;
  for (float x : logits) largest = std::max(largest, static_cast<double>(x));
  std::vector<std::pair<double, int32_t>> p;
  for (size_t i = 0; i < logits.size(); ++i)
    p.emplace_back(std::exp(logits[i] - largest), static_cast<int32_t>(i));
  for (auto& q : p) sum += q.first;
  for (auto& q : p) q.first /= sum;
  std::stable_sort(p.begin(), p.end(), [](auto& a, auto& b) { return a.first > b.first; });
  if (top_p > 0) {
    size_t at = 0;
    for (double mass = p[0].first; mass < top_p && at + 1 < p.size();) mass += p[++at].first;
    const double cutoff = p[at].first;
    std::erase_if(p, [&](auto& q) { return q.first < cutoff; });
  }
  if (top_k > 0) p.resize(std::min(top_k, p.size()));
  double left = 0, cdf = 0;
  for (auto& q : p) left += q.first = std::pow(q.first, 1 / temperature);
  for (auto& q : p)
    if ((cdf += q.first) > coin * left) return q.second;
  return p.back().second;
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

TEST_CASE("with temperature last, draws equal RWKV's programs computed in double precision") {
  RandomState source{2027};
  for (int i = 0; i < 2000; ++i) {
    const auto logits = random_logits(2 + source.next_u32() % 60, source);
    const double temperature = 0.3 + 2 * source.next_f32();
    const double top_p = i % 3 ? 0.05 + 0.9 * source.next_f32() : 0.0;
    const int64_t top_k = i % 2 ? 1 + source.next_u32() % 20 : 0;
    const uint64_t seed = source.next_u32() | 1u;
    const double coin = RandomState{seed}.next_f32();
    const SamplingOptions options{
        .temperature = temperature, .top_k = top_k, .top_p = top_p, .temperature_last = true};
    if (top_p == 0 && top_k == 0) continue;  // nothing is cut: see below
    REQUIRE(sample(logits, options, seed) ==
            sample_as_rwkv(logits, temperature, top_p, static_cast<size_t>(top_k), coin));
  }
}

TEST_CASE("without cuts it makes no difference when the temperature comes") {
  RandomState source{11};
  for (int i = 0; i < 100; ++i) {
    const auto logits = random_logits(40, source);
    const uint64_t seed = source.next_u32() | 1u;
    SamplingOptions options{.temperature = 0.4 + source.next_f32(), .top_k = 0, .top_p = 0};
    const int32_t first = sample(logits, options, seed);
    options.temperature_last = true;
    CHECK(sample(logits, options, seed) == first);
  }
}

TEST_CASE("temperature last cuts what is unlikely at temperature 1, however hot it gets") {
  // 0.6, 0.3 and 0.1: of these top_p 0.9 leaves two, at any temperature. Hot first leaves three.
  const std::vector<float> logits{std::log(0.6f), std::log(0.3f), std::log(0.1f)};
  bool third_seen = false;
  int second = 0;
  for (uint64_t seed = 1; seed <= 4000; ++seed) {
    SamplingOptions options{
        .temperature = 100, .top_k = 0, .top_p = 0.89, .temperature_last = true};
    const uint64_t mixed = seed * 0x9E3779B97F4A7C15u;
    const int32_t id = sample(logits, options, mixed);
    REQUIRE(id < 2);
    second += id;
    options.temperature_last = false;
    third_seen |= sample(logits, options, mixed) == 2;
    // All that are as likely as the last one stay, also those behind it.
    CHECK(sample({0, -5, -5, -5},
                 {.temperature = 1, .top_k = 0, .top_p = 0.5, .temperature_last = true},
                 mixed) == 0);
    CHECK(
        sample({1, 1, -9},
               {.temperature = 1, .top_k = 0, .top_p = 0.1, .min_p = 0.5, .temperature_last = true},
               mixed) < 2);
  }
  CHECK(third_seen);
  CHECK(second == doctest::Approx(2000).epsilon(0.05));
}

TEST_CASE("with temperature last, tokens as likely as the last one that top_p needs stay") {
  std::array<int, 3> seen{};
  for (uint64_t seed = 1; seed <= 300; ++seed)
    ++seen[static_cast<size_t>(
        sample({1, 1, -9}, {.temperature = 1, .top_k = 0, .top_p = 0.1, .temperature_last = true},
               seed * 0x9E3779B97F4A7C15u))];
  CHECK(seen[0] > 100);
  CHECK(seen[1] > 100);
  CHECK(seen[2] == 0);
}

TEST_CASE("every draw with temperature last takes exactly one number and gives a token") {
  RandomState source{98};
  for (std::vector<float> logits : {random_logits(50, source),
                                    std::vector<float>(50, 0.0f),
                                    std::vector<float>(50, kNan),
                                    std::vector<float>(50, -kInf),
                                    std::vector<float>(1, 3.0f),
                                    {kNan, 1, kInf, 2},
                                    {3e38f, -3e38f}})
    for (const double temperature : {1e-60, 1e-30, 1e-3, 1.0, 1000.0}) {
      Sampler sampler(static_cast<int64_t>(logits.size()));
      RandomState random{source.next_u32() | 1u}, once = random;
      once.next_u32();
      std::vector<float> x = logits;
      const int32_t id = sampler.sample(
          x, {.temperature = temperature, .top_k = 7, .top_p = 0.9, .temperature_last = true}, {},
          random);
      CHECK(random.state == once.state);
      CHECK(id >= 0);
      CHECK(id < static_cast<int32_t>(logits.size()));
    }
}

TEST_CASE("presence and frequency penalties are taken from the logits of counted tokens") {
  Sampler sampler(4);
  RandomState random{1};
  const TokenCount counts[] = {{1, 2.5f}, {3, 1.0f}};
  SamplingOptions options{.temperature = 0, .presence_penalty = 0.5, .frequency_penalty = 0.2};
  std::vector<float> logits{0.0f, 1.5f, 0.4f, 1.0f};
  CHECK(sampler.sample(logits, options, {}, random, counts) == 1);
  CHECK(logits ==
        std::vector<float>{0.0f, 1.5f - (0.5f + 0.2f * 2.5f), 0.4f, 1.0f - (0.5f + 0.2f * 1.0f)});
  options.frequency_penalty = 1;
  logits = {0.0f, 1.5f, 0.4f, 1.0f};
  CHECK(sampler.sample(logits, options, {}, random, counts) == 2);
  options.presence_penalty = options.frequency_penalty = 0;
  logits = {0.0f, 1.5f, 0.4f, 1.0f};
  CHECK(sampler.sample(logits, options, {}, random, counts) == 1);
}

TEST_CASE("counts fade by the decay, and what has faded is forgotten") {
  TokenCounts counts;
  counts.add(5, 0.5f);
  counts.add(7, 0.5f);
  counts.add(5, 0.5f);
  CHECK(std::ranges::equal(counts.counts(), std::vector<TokenCount>{{5, 1.25f}, {7, 0.5f}}));
  for (int i = 0; i < 9; ++i) counts.add(5, 0.5f);
  CHECK(counts.counts().size() == 1);
  TokenCounts lasting;
  for (int i = 0; i < 5000; ++i) lasting.add(i % 3, 1.0f);
  CHECK(lasting.counts()[0] == TokenCount{0, 1667});
  TokenCounts usual;
  for (int i = 0; i < 100000; ++i) usual.add(i, 0.996f);
  CHECK(usual.counts().size() == 1724);
}

TEST_CASE("counts come back from a snapshot's numbers, and impossible ones are refused") {
  TokenCounts counts;
  for (const int32_t token : {3, 9, 3, 0}) counts.add(token, 0.996f);
  const std::vector<int64_t> values = counts.values();
  CHECK(std::ranges::equal(TokenCounts::from_values(values, 10).counts(), counts.counts()));
  const auto bits = [](float x) { return static_cast<int64_t>(std::bit_cast<uint32_t>(x)); };
  for (const std::vector<int64_t>& wrong :
       std::vector<std::vector<int64_t>>{{3},
                                         {10, bits(1)},
                                         {-1, bits(1)},
                                         {3, bits(0)},
                                         {3, bits(-1)},
                                         {3, bits(kNan)},
                                         {3, bits(kInf)},
                                         {3, -1},
                                         {3, int64_t{1} << 32},
                                         {3, bits(1), 4, bits(1), 3, bits(1)}})
    CHECK_THROWS_AS(TokenCounts::from_values(wrong, 10), Error);
}

TEST_CASE("top_p alone gives the token that sorting the whole vocabulary gives, to the bit") {
  RandomState source{77};
  for (int i = 0; i < 60; ++i) {
    std::vector<float> logits = random_logits(20000, source);
    // From flat, where thousands are needed, to peaked; and many ties.
    const float peak = static_cast<float>(i % 6) * 0.8f;
    for (float& x : logits) x = std::round(x * 64) / 64 * (0.05f + peak);
    const float top_p = 0.05f + 0.94f * source.next_f32();
    const uint64_t seed = source.next_u32() | 1u;
    std::vector<float> p = logits;
    const float largest = *std::max_element(p.begin(), p.end());
    float sum = 0;
    for (float& x : p) sum += x = x == largest ? 1.0f : std::exp(x - largest);
    std::vector<std::pair<float, int32_t>> sorted;
    for (size_t t = 0; t < p.size(); ++t) sorted.emplace_back(p[t] / sum, static_cast<int32_t>(t));
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](auto& a, auto& b) { return a.first > b.first; });
    float mass = 0;
    size_t count = 0;
    while (count < sorted.size() && !(mass > top_p)) mass += sorted[count++].first;
    const float r = RandomState{seed}.next_f32() * mass;
    float cdf = 0;
    size_t at = 0;
    while (at + 1 < count && !(r < (cdf += sorted[at].first))) ++at;
    REQUIRE(sample(logits, {.temperature = 1, .top_k = 0, .top_p = top_p}, seed) ==
            sorted[at].second);
  }
}
